package main

import (
	"crypto/x509"
	"time"

	"annals/cmd/annals/internal/service"
	"annals/cmd/annals/internal/tsa"
	"annals/ledger/proof"

	"github.com/spf13/pflag"
)

// judgeTokens judges timestamp tokens by the roots in a file; without one, nobody's are
// believed.
func judgeTokens(path string) (proof.JudgeToken, error) {
	if path == "" {
		return tsa.Judge(nil), nil
	}
	roots, err := tsa.Roots(path)
	return tsa.Judge(roots), err
}

// timestampFlags say who signs the times of checkpoints.
type timestampFlags struct {
	url, policy, roots string
	every              time.Duration
}

func (f *timestampFlags) add(fl *pflag.FlagSet) {
	fl.StringVar(&f.url, "tsa", "", "have checkpoints timestamped by the authority (RFC 3161) at `URL`")
	fl.DurationVar(&f.every, "tsa-every", tsa.DefaultEvery, "how often a growing ledger gets a timestamp token")
	fl.StringVar(&f.policy, "tsa-policy", "", "ask for tokens under this policy, an object identifier: `OID`")
	fl.StringVar(&f.roots, "tsa-roots", "", "take only tokens that lead to the certificates in `FILE` (PEM)")
}

// wanted turns the flags into what the service does.
func (f *timestampFlags) wanted() (w service.Timestamps, err error) {
	switch {
	case f.url == "" && (f.policy != "" || f.roots != ""):
		return w, usagef("--tsa-policy and --tsa-roots say which tokens are taken: give --tsa URL, the authority that is asked")
	case f.url == "":
		return w, nil
	case f.every < time.Second:
		return w, usagef("--tsa-every is a second at the least, not %s", f.every)
	}
	w = service.Timestamps{Authority: tsa.Authority{URL: f.url}, Every: f.every}
	if err := w.Authority.Check(); err != nil {
		return w, &usageError{err}
	}
	if w.Authority.Policy, err = tsa.ParsePolicy(f.policy); err != nil {
		return w, &usageError{err}
	}
	var roots *x509.CertPool
	if f.roots != "" {
		if roots, err = tsa.Roots(f.roots); err != nil {
			return w, err
		}
	}
	w.Authority.Roots = roots
	return w, nil
}
