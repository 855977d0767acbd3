package client_test

import (
	"context"
	"net/http/httptest"

	"annals/ledger"
	"annals/ledger/chain/chaintest"
	"annals/projections"
	"annals/query"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// served is a real server over a ledger in memory, with some records in ws_7.
type served struct {
	stream      *chaintest.Stream
	ledger      *ledger.Ledger
	projections *projections.Live
	http        *httptest.Server
}

func serve() *served {
	s := &served{stream: chaintest.New("client")}
	var err error
	s.ledger, err = ledger.Create("ledger", s.stream.Messages[0], s.stream.Messages[1], ledger.Options{FS: vfs.NewMem(), CacheSize: 16 << 20})
	must(err)
	s.projections, err = projections.OpenLive("projections", s.ledger.ID(), projections.Options{FS: vfs.NewMem()})
	must(err)
	s.http = httptest.NewServer(query.New(query.Options{Ledger: s.ledger, Projections: s.projections}))
	for _, r := range []string{
		`{"type":"app.created","actor":{"id":"usr_dana","name":"Dana"},"object":{"type":"app","id":"app_42"},"dimensions":{"org":"org_1"}}`,
		`{"type":"app.renamed","actor":{"id":"usr_li","name":"Li"},"object":{"type":"app","id":"app_42"},"outcome":"denied","dimensions":{"new!":"50%"}}`,
		`{"type":"app.renamed","actor":{"id":"usr_dana","name":"Dana"},"object":{"type":"app","id":"app_42"},"linked":[{"type":"a/b","id":"c/d"}],"context":{"ip":"10.1.2.3"}}`,
		`{"type":"user.created","actor":{"id":"usr_dana","name":"Dana"},"object":{"type":"user","id":"usr_new"},"n":9007199254740993,"s":"\u0041"}`,
	} {
		s.publish(r)
	}
	return s
}

// publish records something, and waits until it is on pages.
func (s *served) publish(record string) {
	s.stream.Publish("activity.ws_7._", record)
	ctx := context.Background()
	must(s.ledger.Append(ctx, s.stream.Messages[s.ledger.Position().Sequence:]))
	must(s.ledger.Flush(ctx))
	from, _ := s.projections.Cursor()
	must(s.projections.Fold(s.ledger.Leaves(ctx, from, s.ledger.Head().Size)))
}

func (s *served) close() {
	s.http.Close()
	must(s.projections.Close())
	must(s.ledger.Close())
}

func must(err error) {
	if err != nil {
		panic(err)
	}
}
