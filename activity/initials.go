package activity

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Initials returns the letters that stand for a person where there is no room for a
// name: the first of the first and of the last word that begins with a letter or a
// digit, in upper case; of one word the first alone, of none "". An address in the
// form of an e-mail is read up to its @, and its dots, dashes and underlines part words.
func Initials(name string) string {
	name, _, _ = strings.Cut(name, "@")
	words := strings.FieldsFunc(name, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(".-_:", r) })
	var first, last rune
	for _, w := range words {
		r, _ := utf8.DecodeRuneInString(w)
		switch {
		case !unicode.IsLetter(r) && !unicode.IsDigit(r):
		case first == 0:
			first = r
		default:
			last = r
		}
	}
	var b strings.Builder
	for _, r := range []rune{first, last} {
		if r != 0 {
			b.WriteRune(unicode.ToUpper(r))
		}
	}
	return b.String()
}
