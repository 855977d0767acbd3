package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/samples"
	"annals/cmd/annals/internal/service"
	"annals/cmd/annals/internal/show"
	"annals/ledger/proof"
	reading "annals/query/client"
	"annals/testdata"

	"github.com/spf13/cobra"
)

func (a *app) demo() *cobra.Command {
	var once bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work: publish samples, show timelines, verify",
		Long: `Start everything in one process, in a temporary folder and on free ports; publish
sample activity over a NATS connection; show the timelines of a workspace, a user and
an object; verify the whole chain; and go on serving until Ctrl-C.

With --once it ends there, with 0 when everything was as it must be.`,
		Example: `  annals demo
  annals demo --once`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runDemo(cmd.Context(), once) },
	}
	cmd.Flags().BoolVar(&once, "once", false, "end after verifying, with a status")
	return cmd
}

func (a *app) runDemo(ctx context.Context, once bool) (err error) {
	dir, err := os.MkdirTemp("", "annals-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	log := slog.New(slog.NewTextHandler(a.err, &slog.HandlerOptions{Level: slog.LevelError}))
	s, err := service.Start(ctx, service.Options{
		Data: filepath.Join(dir, "annals-data"), Listen: "127.0.0.1:0", NATSListen: "127.0.0.1:0",
		Version: versionName(), Logger: log,
		Fatal: func(err error) {
			log.Error("the demo can't go on", "error", err)
			os.Exit(exitFailure)
		},
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop(s)) }()
	if err := a.show(ctx, s); err != nil {
		return fmt.Errorf("the demo is not as it must be: %w", err)
	}
	if once {
		return nil
	}
	a.invite(s)
	<-ctx.Done()
	fmt.Fprintln(a.out, "\nstopping; the temporary folder is deleted")
	return nil
}

// show publishes the samples and shows what became of them, and returns an error
// when that is not what it must be.
func (a *app) show(ctx context.Context, s *service.Service) error {
	fmt.Fprintf(a.out, "annals demo: stream, ledger, indexes and API in one process, in a temporary folder\n\n")
	published, err := samples.Publish(ctx, s.NATSURL(), testdata.Activity(), s.Ledger().Await)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "published %s over %s: %s\n", show.Count(published.Records, "record"), s.NATSURL(), published)
	if err := published.Check(); err != nil {
		return err
	}
	c, err := client.New(s.URL(), client.Options{})
	if err != nil {
		return err
	}
	for _, t := range []struct {
		title  string
		user   string
		object string
		limit  int
	}{
		{"workspace ws_7", "", "", 12},
		{"user usr_dana in ws_7", "usr_dana", "", 10},
		{"object app/app_42 in ws_7", "", "app/app_42", 16},
	} {
		q := reading.Query{Limit: t.limit, Sentences: true}
		if t.user != "" {
			q.Where = append(q.Where, reading.Is(reading.User, t.user))
		}
		if t.object != "" {
			q.Where = append(q.Where, reading.Is(reading.Object, t.object))
		}
		page, err := c.Timeline(ctx, "ws_7", q)
		if err != nil {
			return err
		}
		if want := published.Shown("ws_7", t.user, t.object); page.Total != uint64(want) || want == 0 {
			return fmt.Errorf("the timeline of %s has %d entries, and %d were published", t.title, page.Total, want)
		}
		fmt.Fprintf(a.out, "\n%s\n", strings.ToUpper(t.title[:1])+t.title[1:])
		if err := show.Timeline(a.out, page, a.style()); err != nil {
			return err
		}
		fmt.Fprintln(a.out, show.Summary(page, len(page.Items), "newest"))
	}
	return a.verifyDemo(ctx, s)
}

func (a *app) verifyDemo(ctx context.Context, s *service.Service) error {
	src := s.Ledger().Source()
	report, err := audit.Run(ctx, src, audit.Options{})
	if err = errors.Join(err, src.Close()); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%s\n", report.Sentence)
	if report.Verdict != proof.Clean {
		return fmt.Errorf("the audit found: %s", report.Verdict)
	}
	return nil
}

// invite says what to do with a demo that goes on serving.
func (a *app) invite(s *service.Service) {
	fmt.Fprintf(a.out, `
Serving until Ctrl-C:
  HTTP  %[1]s (documentation: %[1]s/docs)
  NATS  %[2]s

  curl '%[1]s/v1/workspaces/ws_7/timeline?limit=3'
  annals timeline --url %[1]s --workspace ws_7 --user usr_dana
  nats --server %[2]s req activity.ws_7.app.renamed \
    '{"actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_42"}}'
`, s.URL(), s.NATSURL())
}
