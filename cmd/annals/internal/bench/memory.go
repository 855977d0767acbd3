package bench

import (
	"runtime/debug"
	"time"
)

const (
	sampleEvery = 100 * time.Millisecond
	samplesKept = 40 // in the report
)

// watchMemory samples the process's memory, from what is needed at rest on, until
// the function that it returns is called.
func watchMemory(folded func() uint64) (stop func() []Sample) {
	debug.FreeOSMemory()
	done, ended := make(chan struct{}), make(chan []Sample)
	go func() {
		var samples []Sample
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for {
			if bytes := resident(); bytes > 0 {
				samples = append(samples, Sample{Records: folded(), Bytes: bytes})
			}
			select {
			case <-tick.C:
			case <-done:
				ended <- samples
				return
			}
		}
	}()
	return func() []Sample {
		close(done)
		return <-ended
	}
}

// addMemory adds the peak, and those of the two halves of the records: where
// memory is flat they are about the same.
func (r *Report) addMemory(samples []Sample, n int) {
	if len(samples) == 0 {
		if bytes := peak(); bytes > 0 {
			r.add(Once("memory_peak", Mebibytes, n, float64(bytes)/(1<<20)))
		}
		return
	}
	var first, second int64
	for _, s := range samples {
		if s.Records < uint64(n)/2 {
			first = max(first, s.Bytes)
		} else {
			second = max(second, s.Bytes)
		}
	}
	r.add(Once("memory_peak", Mebibytes, n, float64(max(first, second))/(1<<20)),
		Once("memory_peak_first_half", Mebibytes, n, float64(first)/(1<<20)),
		Once("memory_peak_second_half", Mebibytes, n, float64(second)/(1<<20)))
	r.Memory = thin(samples, samplesKept)
}

// thin keeps n samples at most, evenly, the last one among them.
func thin(samples []Sample, n int) []Sample {
	if len(samples) <= n {
		return samples
	}
	out := make([]Sample, n)
	for i := range out {
		out[i] = samples[(i+1)*len(samples)/n-1]
	}
	return out
}
