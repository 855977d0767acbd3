package load

import (
	"strconv"
	"strings"
)

// Facts are what a record says, taken apart: what to ask for to find it.
type Facts struct {
	Workspace, Type, Source, Outcome string
	Occurred                         int64 // Unix milliseconds

	user, object uint64
}

// User is the id of the record's actor.
func (f *Facts) User() string { return string(appendUser(nil, f.user)) }

// Object is the type and the id of the record's object.
func (f *Facts) Object() (typ, id string) {
	what := &things[f.object%objectsEach]
	return what.typ, what.prefix + strconv.FormatUint(1_000_000+f.object, 10)
}

// Chapter is what the record's type begins with, up to the dot and with it.
func (f *Facts) Chapter() string { return f.Type[:strings.IndexByte(f.Type, '.')+1] }

// Last returns the facts of the record that Next made last.
func (l *Records) Last() Facts { return l.facts }

// asked is how far into a series questions are looked for.
const asked = 200_000

// Questions returns up to n facts from among the first records of a series, each
// of another question as key tells them apart, which it appends: whoever does much
// is asked about more often, and nobody twice. Each is of at least so many records
// of the series; where half of n can't be had so, of half as many, and so on.
func Questions(seed uint64, records, n, least int, key func([]byte, *Facts) []byte) []Facts {
	found, times := candidates(seed, records, n, key)
	for ; least > 1; least /= 2 {
		if enough := atLeast(found, times, least); len(enough) >= n/2 {
			return enough[:min(n, len(enough))]
		}
	}
	return found[:min(n, len(found))]
}

// candidates returns the facts of different questions, spread over the beginning
// of a series so that its sessions of one moment aren't all, and how many records
// of the whole series each is of.
func candidates(seed uint64, records, n int, key func([]byte, *Facts) []byte) (found []Facts, times []int) {
	places := map[string]int{}
	var b, k []byte
	l := New(seed)
	step := max(1, min(records, asked)/(8*n))
	for i := range min(records, asked) {
		b, _ = l.Next(b[:0])
		if i%step != 0 {
			continue
		}
		k = key(k[:0], &l.facts)
		if _, known := places[string(k)]; !known {
			places[string(k)] = len(found)
			found = append(found, l.facts)
		}
	}
	times = make([]int, len(found))
	l = New(seed)
	for range records {
		b, _ = l.Next(b[:0])
		k = key(k[:0], &l.facts)
		if at, known := places[string(k)]; known {
			times[at]++
		}
	}
	return found, times
}

func atLeast(found []Facts, times []int, least int) (out []Facts) {
	for i := range found {
		if times[i] >= least {
			out = append(out, found[i])
		}
	}
	return out
}
