//go:build !amd64

package multibuffer

const together = false

func compress(*state, *[64]uint32, *byte, uint64, uint64) {
	panic("multibuffer: no lanes on this processor")
}
