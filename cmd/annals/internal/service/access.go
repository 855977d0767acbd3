package service

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"annals/activity"
	"annals/cmd/annals/internal/accessfile"
	"annals/cmd/annals/internal/journal"
	"annals/internal/access"
	"annals/internal/access/oidc"
	"annals/internal/problem"
)

// admit reads who may do what, and refuses listeners that others than this machine
// can reach where nothing says who they may be: whoever reached them would read and
// write everything.
func (s *Service) admit() error {
	host, _, err := net.SplitHostPort(s.o.Listen)
	if err != nil {
		return fmt.Errorf("--listen: %q is no HOST:PORT: %w", s.o.Listen, err)
	}
	if s.book, err = accessfile.Load(s.o.Data); err != nil {
		return err
	}
	if s.o.TLS != (accessfile.TLS{}) {
		if s.tls, err = s.o.TLS.Config(s.o.Logger); err != nil {
			return err
		}
	}
	if len(s.o.Access.Certificates) > 0 {
		if s.o.TLS.ClientCA == "" {
			return errors.New("certificates in the access configuration: say who signs them with --tls-client-ca")
		}
		if s.book, err = accessfile.LoadOrNew(s.o.Data); err != nil {
			return err
		}
	}
	if c := s.o.Access.OIDC; c != nil {
		if s.provider, err = oidc.New(oidc.Options{Config: *c, Now: s.o.tokenTime}); err != nil {
			return fmt.Errorf("the OpenID provider in the access configuration: %w", err)
		}
		if s.book, err = accessfile.LoadOrNew(s.o.Data); err != nil {
			return err
		}
	}
	if s.book == nil && !loopback(host) {
		return fmt.Errorf("--listen %s is not on the loopback, and no access is configured: anybody who reached it would read and write everything; "+
			"make a key first with `annals access add --data %s`, or name an OpenID provider (docs/access.md)", s.o.Listen, s.o.Data)
	}
	return s.admitNATS()
}

// sayAccess says at each start who is let in, and opens the gate that lets them.
func (s *Service) sayAccess() error {
	if s.book == nil {
		s.o.Logger.Warn("DEVELOPMENT MODE: no access is configured, so every process of this machine reads and writes everything; " +
			"`annals access add`, while this is stopped, makes the first key and ends it")
		return nil
	}
	if host, _, err := net.SplitHostPort(s.o.Listen); err == nil && s.tls == nil && !loopback(host) {
		s.o.Logger.Warn("tokens come in over plain HTTP, which whoever is on the way can read: serve HTTPS with --tls-cert and --tls-key, or put something that does in front")
	}
	if accessfile.Exposed(s.o.Data) {
		s.o.Logger.Warn("the API keys' file can be read or written by others than its owner; `chmod 600` it", "file", accessfile.Path(s.o.Data))
	}
	s.journal = journal.New(journal.Options{Publish: s.tell, Book: s.book, Reads: s.o.Access.LogReads, Every: s.o.journalEvery, Logger: s.o.Logger})
	o := access.Options{Keys: s.book, Used: s.journal.Used, Refused: s.refused, Certificates: s.o.Access.Certificates, Limits: s.o.Access.Limits, Hold: refusedLate}
	if s.provider != nil {
		o.Verify = s.provider.Verify
	}
	if s.o.PeerToken != "" {
		o.Verify = s.peerOr(o.Verify)
	}
	var err error
	if o.EmbedKey, err = accessfile.EmbedKey(s.o.Data); err != nil {
		return err
	}
	s.gate, err = access.NewGate(o)
	return err
}

// refusedLate is how long whoever is beyond a limit waits for being told so.
const refusedLate = time.Second

// sibling is who shows the token that the replicas share: it audits what it is about
// to take messages from.
var sibling = &access.Principal{Kind: access.ByPeer, ID: "peer", Grants: []access.Grant{access.InAll(access.Audit)}}

// peerOr verifies the replicas' token, and asks the provider, if there is one, about
// any other.
func (s *Service) peerOr(provider func(context.Context, string) (*access.Principal, error)) func(context.Context, string) (*access.Principal, error) {
	return func(ctx context.Context, token string) (*access.Principal, error) {
		switch {
		case s.token.Is(token):
			return sibling, nil
		case provider != nil:
			return provider(ctx, token)
		}
		return nil, access.ErrUnknown
	}
}

// refused notes who was not let in. Why holds nothing that lets anybody in.
func (s *Service) refused(r *http.Request, who *access.Principal, why error) {
	s.journal.Refused(r, who, why)
	s.o.Logger.LogAttrs(r.Context(), slog.LevelDebug, "not let in",
		slog.String("request_id", problem.RequestID(r.Context())), slog.String("why", why.Error()))
}

// Access says in a few words who is let in.
func (s *Service) Access() string {
	if s.book == nil {
		return "DEVELOPMENT MODE: nobody is asked who they are"
	}
	text := fmt.Sprintf("by token; API keys: %d", s.book.Len())
	if c := s.o.Access.OIDC; c != nil {
		text += "; provider: " + c.Issuer
	}
	return text
}

// usedEvery is how often it is written down which API keys were used.
const usedEvery = time.Minute

// keepUsed writes down now and then, and at the end, when keys were used last. That
// it can't keeps nobody out.
func (s *Service) keepUsed() {
	if s.book == nil {
		return
	}
	s.journal.Configured(s.configured())
	s.stopJournal = beside(func(ctx context.Context) error {
		s.journal.Run(ctx)
		return nil
	})
	s.stopKeys = beside(func(ctx context.Context) error {
		tick := time.NewTicker(usedEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := s.book.SaveUsed(); err != nil {
					s.o.Logger.Warn("when API keys were used last is not written down", "error", err)
				}
			case <-ctx.Done():
				return s.book.SaveUsed()
			}
		}
	})
}

// configured is what the ledger is told of how access is configured.
func (s *Service) configured() map[string]any {
	c := &s.o.Access
	how := map[string]any{
		"listen": s.o.Listen, "tls": s.tls != nil, "keys": s.book.Len(), "certificates": len(c.Certificates), "limits": c.Limits, "bounds": c.Bounds, "log_reads": c.LogReads, "version": s.o.Version,
	}
	if c.OIDC != nil {
		how["oidc"] = c.OIDC
	}
	if len(c.Origins) > 0 {
		how["origins"] = c.Origins
	}
	return how
}

// tell publishes what happened at the ledger's doors as a record of the system's, by
// this door's own word.
func (s *Service) tell(ctx context.Context, r journal.Record) error {
	if err := s.pump.stranger(); err != nil {
		return err
	}
	body, err := r.Bytes()
	if err != nil {
		return err
	}
	d := activity.Door{Grade: activity.GradeAsserted, Producer: "annals"}
	if r.By != "" {
		d.Grade, d.Subject = activity.GradeVerified, r.By
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	pending, err := s.publisher.PublishAsync(ctx, activity.SystemWorkspace, r.Type, activity.AppendVouched(nil, d, body))
	if err != nil {
		return err
	}
	_, err = pending.Wait(ctx)
	return err
}

// loopback reports whether a host is this machine and no other.
func loopback(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsLoopback()
	}
	ips, err := net.LookupIP(host)
	if host == "" || err != nil || len(ips) == 0 {
		return false
	}
	for _, ip := range ips {
		if !ip.IsLoopback() {
			return false
		}
	}
	return true
}
