package show

import (
	"strings"
	"unicode"
)

// Clean makes a text that producers wrote safe for a terminal: what is not
// printable becomes visible. An escape sequence in a name must not move the
// cursor, and a direction mark must not turn a line around: what stands on the
// screen is evidence too.
func Clean(s string) string {
	if strings.IndexFunc(s, unsafe) < 0 {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n':
			return ' '
		case r < 0x20:
			return '\u2400' + r // the Unicode picture of the control character
		case r == 0x7f:
			return '\u2421'
		case unsafe(r):
			return unicode.ReplacementChar
		}
		return r
	}, s)
}

// unsafe are control characters, format characters (direction marks and zero
// widths among them), surrogates and separators of lines.
func unsafe(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}

// short cuts a text to n characters.
func short(s string, n int) string {
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}
