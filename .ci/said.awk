# Reads what go test -v says. Of a package that passes its line is printed, and of one that
# fails what was said outside of tests that passed. Written to files are what was skipped
# (skips: a test a line, behind its package), and what to look at first after a failure
# (worst: which tests, what they said, and where those stood that never ended).

/^=== (RUN|PAUSE|CONT|NAME) / { test = $3; next }

/^ *--- (PASS|SKIP): / {
	delete said[$3]
	if ($2 == "SKIP:") skipped[++s] = $3
	next
}

/^(ok  |FAIL|\?   )\tannals/ {
	for (i = 1; i <= n; i++) if (/^FAIL/ && order[i] in said) printf "%s", said[order[i]]
	for (place in stuck) print stuck[place], place > worst
	print
	if (/^FAIL/) print > worst
	for (i = 1; i <= s; i++) print $2, skipped[i] > skips
	split("", said); split("", known); split("", stuck)
	test = ""; n = s = late = 0
	next
}

/^ *--- FAIL: / { test = $3; printf "%s%s\n", said[test], $0 > worst }
/^panic: test timed out/ { late = 1; test = "" }
late && /^(panic: |\trunning tests:|\t\tTest)/ { print > worst }

# A goroutine is known by what it waits for, and by our innermost function and line.
/^goroutine [0-9]+.* \[/ { state = $0; sub(/^[^[]*/, "", state); inner = "" }
/^$/ { state = "" }
late && state != "" && inner != "" {
	line = $0; sub(/ \+0x.*/, "", line); sub(/^.*\//, "", line)
	stuck[state " " inner ", " line]++
	state = ""
}
state != "" && /^annals\// { inner = $0; sub(/\([^(]*\)$/, "", inner) }

!(test in known) { known[test]; order[++n] = test }
{ said[test] = said[test] $0 "\n" }
END { for (i = 1; i <= n; i++) if (order[i] in said) printf "%s", said[order[i]] }
