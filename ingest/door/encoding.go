package door

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"strings"

	"annals/internal/problem"

	"github.com/klauspost/compress/zstd"
)

// Encodings are the content encodings that are read (RFC 9110, 8.4; RFC 8878).
const Encodings = "gzip, zstd"

// maxWindow bounds what a zstd stream may have its decoder keep: what RFC 9659 lets a
// content encoding ask for.
const maxWindow = 8 << 20

// decoded reads the body and undoes its encoding. [MaxBody] bounds both, so that a small
// body can't become a large one.
func decoded(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	raw := http.MaxBytesReader(w, r.Body, MaxBody)
	encoding := strings.ToLower(strings.TrimSpace(strings.Join(r.Header.Values("Content-Encoding"), ",")))
	var plain io.Reader
	switch encoding {
	case "", "identity":
		body, err := whole(raw, r.ContentLength)
		if err != nil {
			return nil, unread(err)
		}
		return body, nil
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(raw)
		if err != nil {
			return nil, undecoded(err)
		}
		plain = z
	case "zstd":
		z, err := zstd.NewReader(raw, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
		if err != nil {
			return nil, undecoded(err)
		}
		defer z.Close()
		plain = z
	default:
		return nil, problem.New(problem.UnsupportedCode, "").WithHeader("Accept-Encoding", Encodings)
	}
	body, err := io.ReadAll(io.LimitReader(plain, MaxBody+1))
	switch {
	case err != nil:
		return nil, undecoded(err)
	case len(body) > MaxBody:
		return nil, problem.New(problem.TooLarge, "the body has more than %d bytes once it is decoded; send fewer records at once", MaxBody)
	}
	return body, nil
}

// atOnce is how much room a body gets before anything of it arrived: a length is easily
// said.
const atOnce = 512 << 10

// whole reads a body into room of its length, where that is said, rather than into room
// that grows: it would be copied several times.
func whole(body io.Reader, length int64) ([]byte, error) {
	b := bytes.NewBuffer(make([]byte, 0, min(max(length, 0), atOnce)+bytes.MinRead))
	_, err := b.ReadFrom(body)
	return b.Bytes(), err
}

// undecoded tells a body that doesn't arrive from one that is not what it says.
func undecoded(err error) error {
	if _, large := errors.AsType[*http.MaxBytesError](err); large || errors.Is(err, os.ErrDeadlineExceeded) {
		return unread(err)
	}
	return problem.New(problem.InvalidEncoding, "").From(err)
}

// digest is what a request is known again by: what was sent, and as what.
func digest(r *http.Request, body []byte) (sum [sha256.Size]byte) {
	h := sha256.New()
	io.WriteString(h, r.Header.Get("Content-Type")+"\n"+r.URL.RawQuery+"\n")
	h.Write(body)
	h.Sum(sum[:0])
	return sum
}
