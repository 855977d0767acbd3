package chain_test

import (
	"slices"
	"testing"

	"annals/ledger/chain"
)

// TestRanges: ranges say which indexes they hold, whatever the indexes are.
func TestRanges(t *testing.T) {
	for mask := range 1 << 9 {
		var want []uint64
		for i := range uint64(9) {
			if mask&(1<<i) != 0 {
				want = append(want, i)
			}
		}
		e := chain.Erase{Role: chain.RoleEraser, Reason: 1, Rule: chain.NoRef, Parts: 1, Ranges: chain.Ranges(slices.Values(want))}
		parsed, err := chain.ParseErase(e.Append(nil))
		if (err == nil) != (mask > 0) {
			t.Fatalf("%b: %v", mask, err)
		}
		if got := slices.Collect(parsed.Indexes()); !slices.Equal(got, want) || parsed.Count() != uint64(len(want)) {
			t.Errorf("%b: %v", mask, got)
		}
		for i := range uint64(11) {
			if parsed.Covers(i) != slices.Contains(want, i) {
				t.Errorf("%b: covers %d: %v", mask, i, parsed.Covers(i))
			}
		}
	}
}

// TestShared compares what all pairs of small lists share with what their indexes do.
func TestShared(t *testing.T) {
	const bits = 6
	of := func(mask int) (indexes []uint64) {
		for i := range uint64(bits) {
			if mask&(1<<i) != 0 {
				indexes = append(indexes, i)
			}
		}
		return indexes
	}
	ranges := func(indexes []uint64) []chain.Range { return chain.Ranges(slices.Values(indexes)) }
	for a := range 1 << bits {
		for b := range 1 << bits {
			shared := slices.Collect(chain.Shared(ranges(of(a)), ranges(of(b))))
			if want := ranges(of(a & b)); !slices.Equal(shared, want) {
				t.Errorf("%b and %b share %v, want %v", a, b, shared, want)
			}
		}
	}
	for range chain.Shared(ranges(of(0b10101)), ranges(of(0b10101))) {
		break // whoever wants the first alone
	}
}
