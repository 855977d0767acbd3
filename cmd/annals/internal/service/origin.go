package service

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxOrigin is the longest name that a DNS name with a short path can be. A
// checkpoint's first line is the origin.
const maxOrigin = 255

// CheckOrigin refuses a name that checkpoints can't carry: C2SP tlog-checkpoint
// wants a URL without scheme, with no white space and no plus in it.
func CheckOrigin(origin string) error {
	odd := func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) || r == '+' }
	switch {
	case origin == "":
		return errors.New("an origin is a URL without scheme, such as example.com/audit; this one is empty")
	case strings.Contains(origin, "://"):
		return fmt.Errorf("%q has a scheme; an origin is a URL without one, such as example.com/audit", origin)
	case !utf8.ValidString(origin), strings.ContainsFunc(origin, odd):
		return fmt.Errorf("%q has white space, a plus or something unprintable in it; an origin is a URL without scheme, such as example.com/audit", origin)
	case len(origin) > maxOrigin:
		return fmt.Errorf("an origin has at most %d bytes, this one has %d", maxOrigin, len(origin))
	}
	return nil
}

// checkOrigin refuses to go on under another name than the ledger has.
func (s *Service) checkOrigin(has string) error {
	if s.o.Origin == "" || s.o.Origin == has {
		return nil
	}
	return fmt.Errorf("--origin %s: the ledger in %s was begun as %s, which can't be changed; leave --origin out, or name another folder with --data",
		s.o.Origin, s.dir.Root, has)
}
