package accessfile

import (
	"errors"
	"fmt"
	"net/http"
	"os"

	"annals/internal/access"
	"annals/internal/access/oidc"
	"annals/internal/problem"
	"annals/query"

	"github.com/go-json-experiment/json"
)

// Config is what --access-config says beside the API keys. It holds no secret.
type Config struct {
	OIDC *oidc.Config `json:"oidc,omitzero"` // nil: no provider's tokens are good
	// Certificates are the clients' certificates that need no token: --tls-client-ca.
	Certificates []access.Certificate `json:"certificates,omitzero"`
	Limits       access.Limits        `json:"limits,omitzero"`
	// Bounds are what every client has to keep to.
	Bounds query.Bounds `json:"bounds,omitzero"`
	// LogReads has the ledger told of reads too, beside audits.
	LogReads bool `json:"log_reads,omitzero"`
	// Origins are the web pages, such as https://app.example.com, that browsers let ask
	// with a token of theirs (CORS).
	Origins []string `json:"origins,omitzero"`
}

// ReadConfig reads a configuration. A member that is not known is an error: one that
// is misspelt must not be a rule that is missing.
func ReadConfig(path string) (c Config, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return c, fmt.Errorf("the access configuration can't be read: %w", err)
	}
	if err := json.Unmarshal(text, &c, json.RejectUnknownMembers(true)); err != nil {
		return c, fmt.Errorf("%s is no access configuration (docs/access.md): %s", path, problem.Misread(err))
	}
	var protection http.CrossOriginProtection
	for _, origin := range c.Origins {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return c, fmt.Errorf("%s: origins: %q is no origin; one looks like https://app.example.com", path, origin)
		}
	}
	if err := errors.Join(c.Limits.Check(), c.Bounds.Check()); err != nil {
		return c, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}
