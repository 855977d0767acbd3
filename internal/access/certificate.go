package access

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Certificate says what the holder of a client's certificate may do.
type Certificate struct {
	// Identity is a name in the certificate: "uri:" or "dns:" and a subject alternative
	// name (RFC 5280, 4.2.1.6), such as uri:spiffe://example.com/billing. The common
	// name is none.
	Identity   string   `json:"identity"`
	Subject    string   `json:"subject,omitzero"` // default: the identity without its kind
	OnBehalf   bool     `json:"on_behalf,omitzero"`
	Scopes     []string `json:"scopes"`
	Workspaces []string `json:"workspaces"`
}

// certificates are those that are known, by identity.
type certificates map[string]*Principal

func parseCertificates(all []Certificate) (certificates, error) {
	known := certificates{}
	for _, c := range all {
		kind, name, _ := strings.Cut(c.Identity, ":")
		if kind != "uri" && kind != "dns" || name == "" {
			return nil, fmt.Errorf("certificates: %q is neither uri:URI nor dns:NAME", c.Identity)
		}
		if known[c.Identity] != nil {
			return nil, fmt.Errorf("certificates: %s is there twice", c.Identity)
		}
		p := &Principal{Kind: ByCertificate, ID: c.Identity, Subject: c.Subject, OnBehalf: c.OnBehalf}
		if p.Subject == "" {
			p.Subject = name
		}
		if len(p.Subject) > MaxSubject {
			return nil, fmt.Errorf("certificates: %s: the subject has more than %d bytes; give a shorter one", c.Identity, MaxSubject)
		}
		scopes, err := ParseScopes(c.Scopes)
		if err != nil {
			return nil, fmt.Errorf("certificates: %s: %w", c.Identity, err)
		}
		workspaces, err := ParseWorkspaces(c.Workspaces)
		if err != nil {
			return nil, fmt.Errorf("certificates: %s: %w", c.Identity, err)
		}
		p.Grants = []Grant{{scopes, workspaces}}
		known[c.Identity] = p
	}
	return known, nil
}

var errStranger = errors.New("the certificate has no name that is known here")

// find returns whose a connection is, by the certificate that was verified when it
// was made.
func (c certificates) find(state *tls.ConnectionState) (*Principal, error) {
	leaf := state.VerifiedChains[0][0]
	var names []string
	for _, u := range leaf.URIs {
		names = append(names, "uri:"+u.String())
	}
	for _, n := range leaf.DNSNames {
		names = append(names, "dns:"+n)
	}
	var found []*Principal
	for _, n := range names {
		if p := c[n]; p != nil && !slices.Contains(found, p) {
			found = append(found, p)
		}
	}
	switch len(found) {
	case 0:
		return nil, errStranger
	case 1:
		p := *found[0]
		p.Expires = leaf.NotAfter
		return &p, nil
	}
	return nil, errors.New("the certificate has two names that are known here")
}
