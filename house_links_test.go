package annals_test

import (
	"fmt"
	"maps"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// checkLinks follows every link between the pages: the file must be there, and
// the heading in it.
func checkLinks(t *tree) (faults []string) {
	for _, name := range slices.Sorted(maps.Keys(t.files)) {
		if path.Ext(name) != ".md" {
			continue
		}
		for i, line := range strings.Split(string(t.files[name]), "\n") {
			for _, m := range link.FindAllStringSubmatch(line, -1) {
				if why := t.dead(name, m[1]); why != "" {
					faults = append(faults, fmt.Sprintf("%s:%d: link %s: %s", name, i+1, m[1], why))
				}
			}
		}
	}
	return faults
}

// dead says why a link leads nowhere, or nothing.
func (t *tree) dead(from, to string) string {
	u, err := url.Parse(to)
	if err != nil {
		return err.Error()
	}
	if u.Scheme != "" {
		return ""
	}
	target := from
	if u.Path != "" {
		target = path.Join(path.Dir(from), u.Path)
	}
	page, isFile := t.files[target]
	isDir := slices.ContainsFunc(slices.Collect(maps.Keys(t.files)), func(f string) bool { return strings.HasPrefix(f, target+"/") })
	switch {
	case !isFile && !isDir:
		return "no such file"
	case u.Fragment == "" || path.Ext(target) != ".md":
		return ""
	}
	for _, h := range heading.FindAllStringSubmatch(string(page), -1) {
		if anchor(h[1]) == u.Fragment {
			return ""
		}
	}
	return "no such heading"
}

// anchor is a heading's fragment as code forges form it: lower case, spaces to
// hyphens, punctuation dropped.
func anchor(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case strings.ContainsRune("-_", r), unicode.IsLetter(r), unicode.IsDigit(r):
			return r
		}
		return -1
	}, strings.ToLower(heading))
}
