package anchor

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
)

// objects is an S3-compatible bucket: an object for each head, of which none is ever
// written over. With object lock (compliance mode) nobody can delete one before its
// time, the account's owner included.
type objects struct {
	client *minio.Client
	bucket string
	prefix string // "" or ending with a slash
	days   int    // that each object is locked for; 0: as the bucket has it
}

// maxHead bounds what is taken for a head.
const maxHead = 1 << 20

func newObjects(u *url.URL, prefix string, days int) (*objects, error) {
	o := &objects{bucket: u.Host, days: days}
	if prefix != "" {
		o.prefix = prefix + "/"
	}
	endpoint := u.Query().Get("endpoint")
	if endpoint == "" {
		endpoint = "https://s3.amazonaws.com"
	}
	at, err := url.Parse(endpoint)
	if err != nil || at.Host == "" || at.Scheme != "https" && at.Scheme != "http" || strings.Trim(at.Path, "/") != "" {
		return nil, fmt.Errorf("%w: endpoint %q is no https://HOST:PORT", ErrSpec, endpoint)
	}
	transport, err := minio.DefaultTransport(at.Scheme == "https")
	if err != nil {
		return nil, err
	}
	o.client, err = minio.New(at.Host, &minio.Options{
		Transport: listings{transport},
		// The variables and the file that every S3 program knows: no secret is on a
		// command line.
		Creds:  credentials.NewChainCredentials([]credentials.Provider{&credentials.EnvAWS{}, &credentials.EnvMinio{}, &credentials.FileAWSCredentials{}}),
		Secure: at.Scheme == "https", Region: u.Query().Get("region"),
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrSpec, err)
	}
	return o, nil
}

// String implements [Place].
func (o *objects) String() string { return "s3://" + o.bucket + "/" + o.prefix }

// Close implements [Place].
func (o *objects) Close() error { return nil }

// name is the object of a head: larger sizes sort first, so that the newest is the
// first of a listing, however many there are.
func (o *objects) name(size uint64) string {
	return fmt.Sprintf("%s%020d-%d.json", o.prefix, math.MaxUint64-size, size)
}

// Get implements [Place].
func (o *objects) Get(ctx context.Context) ([]byte, error) {
	listing, cancel := context.WithCancel(ctx)
	defer cancel()
	first, ok := <-o.client.ListObjects(listing, o.bucket, minio.ListObjectsOptions{Prefix: o.prefix, MaxKeys: 1, Recursive: true})
	switch {
	case !ok:
		return nil, ctx.Err()
	case first.Err != nil:
		return nil, first.Err
	}
	object, err := o.client.GetObject(ctx, o.bucket, first.Key, minio.GetObjectOptions{})
	if err != nil {
		return nil, err
	}
	defer object.Close()
	return io.ReadAll(io.LimitReader(object, maxHead))
}

// Put implements [Place].
func (o *objects) Put(ctx context.Context, b []byte, size uint64) error {
	options := minio.PutObjectOptions{ContentType: "application/json", SendContentMd5: true}
	if o.days > 0 {
		options.Mode, options.RetainUntilDate = minio.Compliance, time.Now().AddDate(0, 0, o.days).UTC()
	}
	put, err := o.client.PutObject(ctx, o.bucket, o.name(size), bytes.NewReader(b), int64(len(b)), options)
	if err == nil && put.ETag == "" { // which S3 gives every object
		err = errors.New("what answers is no S3: it gave the object no ETag")
	}
	return err
}

// listings takes nothing for a listing of objects but one. The client reads any other
// page as one of no object, and no object means that nothing was remembered.
type listings struct{ http.RoundTripper }

// RoundTrip implements [http.RoundTripper].
func (l listings) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := l.RoundTripper.RoundTrip(r)
	if err != nil || res.StatusCode != http.StatusOK || r.Method != http.MethodGet || r.URL.Query().Get("list-type") == "" {
		return res, err
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxHead))
	if err = errors.Join(err, res.Body.Close()); err != nil {
		return nil, err
	}
	var root struct{ XMLName xml.Name }
	if err := xml.Unmarshal(b, &root); err != nil || root.XMLName.Local != "ListBucketResult" {
		return nil, errors.New("what answers is no S3: it gave no listing of the bucket")
	}
	res.Body = io.NopCloser(bytes.NewReader(b))
	return res, nil
}
