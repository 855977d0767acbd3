package show

import "fmt"

// Count spells a number of things: "1 record", "0 records", "3 entries".
func Count[N int | uint64](n N, thing string) string {
	switch {
	case n == 1:
	case thing == "entry":
		thing = "entries"
	default:
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
