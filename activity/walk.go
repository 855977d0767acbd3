package activity

import "bytes"

// Walk calls member for each member of the JSON object that b begins with: its
// name as written, in quotes, and its value. It looks at no more of the syntax
// than it needs to find where they end, so it is for records that were accepted,
// or are about to be judged; it never reads beyond b, whatever b is. It returns
// where the object's brace is, and whether it walked to the closing one: not so
// when member returned false, or the bytes can't be walked.
func Walk(b []byte, member func(name, value []byte) bool) (brace int, whole bool) {
	brace = skipSpace(b, 0)
	if brace == len(b) || b[brace] != '{' {
		return 0, false
	}
	i := skipSpace(b, brace+1)
	if i < len(b) && b[i] == '}' {
		return brace, true
	}
	for i < len(b) && b[i] == '"' {
		end := skipString(b, i)
		name := b[i:end]
		if i = skipSpace(b, end); i == len(b) || b[i] != ':' {
			return brace, false
		}
		i = skipSpace(b, i+1)
		end = skipValue(b, i)
		if !member(name, bytes.TrimRight(b[i:end], " \t\r\n")) {
			return brace, false
		}
		switch i = skipSpace(b, end); {
		case i < len(b) && b[i] == ',':
			i = skipSpace(b, i+1)
		default:
			return brace, i < len(b) && b[i] == '}'
		}
	}
	return brace, false
}

// skipString returns the index after the string that begins at b[i].
func skipString(b []byte, i int) int {
	for i++; i < len(b); i++ {
		switch b[i] {
		case '"':
			return i + 1
		case '\\':
			i++
		}
	}
	return len(b)
}

// skipValue returns the index after the value that begins at b[i], or of the
// comma or bracket that ends it.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
			if depth == 0 {
				return i
			}
			continue
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			if depth--; depth == 0 {
				return i + 1
			}
		case ',':
			if depth == 0 {
				return i
			}
		}
		i++
	}
	return i
}
