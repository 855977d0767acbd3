package query

import (
	"errors"
	"fmt"
	"time"
)

// Bounds are what every client has to keep to, whoever it is. 0 is the default.
type Bounds struct {
	Connections    int   `json:"connections,omitzero"`     // open at once; 4,096
	HeaderBytes    int   `json:"header_bytes,omitzero"`    // of a request; 64 KiB
	HeaderSeconds  int   `json:"header_seconds,omitzero"`  // that it may take to arrive; 10
	BodyBytes      int64 `json:"body_bytes,omitzero"`      // of a request as it is sent; 16 MiB, which is the most
	BodySeconds    int   `json:"body_seconds,omitzero"`    // that header and body may take to arrive; 60
	StalledSeconds int   `json:"stalled_seconds,omitzero"` // that a tail's client may take no bytes, and up to half as many by chance; 10
}

// mostBody is what the doors read at the most.
const mostBody = 16 << 20

// Check refuses bounds that let nobody in.
func (b *Bounds) Check() error {
	for _, n := range []int64{int64(b.Connections), int64(b.HeaderBytes), int64(b.HeaderSeconds), b.BodyBytes, int64(b.BodySeconds), int64(b.StalledSeconds)} {
		if n < 0 {
			return errors.New("bounds: each is a number above 0; leave out those that are to be as they are")
		}
	}
	if b.BodyBytes > mostBody {
		return fmt.Errorf("bounds: body_bytes is %d at the most", mostBody)
	}
	return nil
}

func (b Bounds) filled() Bounds {
	for _, d := range []struct {
		at *int
		is int
	}{
		{&b.Connections, maxConnections},
		{&b.HeaderBytes, maxHeaderBytes},
		{&b.HeaderSeconds, int(readHeaderTimeout / time.Second)},
		{&b.BodySeconds, int(readTimeout / time.Second)},
		{&b.StalledSeconds, int(stalledTimeout / time.Second)},
	} {
		if *d.at == 0 {
			*d.at = d.is
		}
	}
	if b.BodyBytes == 0 {
		b.BodyBytes = mostBody
	}
	return b
}
