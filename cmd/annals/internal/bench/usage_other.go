//go:build !unix

package bench

import "time"

// processor, peak and resident are not measured here: 0 says so.
func processor() time.Duration { return 0 }

func peak() int64 { return 0 }

func resident() int64 { return 0 }
