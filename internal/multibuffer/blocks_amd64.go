package multibuffer

import "golang.org/x/sys/cpu"

// together says that this processor, and the system on it, can do what compress does.
var together = cpu.X86.HasAVX512F && cpu.X86.HasAVX512BW

// compress puts so many blocks of 64 bytes, at least one, of each of sixteen messages
// into the state, with the constants k. The messages begin stride bytes apart.
//
//go:noescape
func compress(s *state, k *[64]uint32, data *byte, stride, blocks uint64)
