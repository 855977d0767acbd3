// Package tsa asks a timestamp authority (RFC 3161) for tokens over checkpoints, and
// judges such tokens.
//
// The rule it exists for: a token is somebody else's word about time, so it is believed
// by its own signature and by roots that whoever judges it has chosen, and never because
// it came, or stands in a ledger. And nothing waits for it: an authority that is slow,
// down or lying costs the ledger a token, and no record.
package tsa

import (
	"bytes"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"annals/ledger/proof"

	"github.com/digitorus/pkcs7"
	"github.com/digitorus/timestamp"
)

// oidTSTInfo is the content of a token (RFC 3161, 2.4.2).
var oidTSTInfo = asn1.ObjectIdentifier{1, 2, 840, 113549, 1, 9, 16, 1, 4}

// Imprint is what a token over a checkpoint is of: the SHA-256 of its text (C2SP
// tlog-checkpoint: origin, size and root, without signatures), which whoever has the
// entries can make again.
func Imprint(text []byte) [sha256.Size]byte { return sha256.Sum256(text) }

// Judge returns what judges tokens by roots: nil roots trust nobody.
func Judge(roots *x509.CertPool) proof.JudgeToken {
	return func(text, token []byte) (time.Time, error) {
		t, err := read(text, token)
		if err != nil {
			return time.Time{}, err
		}
		return t.Time, trusted(t, token, roots)
	}
}

// read reads a token over a text, and checks its own signature.
func read(text, token []byte) (*timestamp.Timestamp, error) {
	if err := form(token); err != nil {
		return nil, err
	}
	t, err := parseToken(token)
	if err != nil {
		return nil, fmt.Errorf("it is no signed token: %w", err)
	}
	imprint := Imprint(text)
	switch {
	case t.HashAlgorithm != crypto.SHA256:
		return nil, fmt.Errorf("it is over a %s, and SHA-256 was asked for", t.HashAlgorithm)
	case !bytes.Equal(t.HashedMessage, imprint[:]):
		return nil, fmt.Errorf("it is over %x, not over %x, the checkpoint's text", t.HashedMessage, imprint)
	}
	return t, nil
}

// form checks what the parser leaves open: that the token is one DER value, signed once
// over attributes, with its signer's certificate, and that what it signs is a TSTInfo.
func form(token []byte) error {
	var whole asn1.RawValue
	if rest, err := asn1.Unmarshal(token, &whole); err != nil || len(rest) > 0 {
		return errors.New("it is not one DER value")
	}
	p, err := parseCMS(token)
	if err != nil {
		return fmt.Errorf("it is no CMS SignedData: %w", err)
	}
	var content asn1.ObjectIdentifier
	switch {
	case len(p.Signers) != 1:
		return fmt.Errorf("it has %d signers, and one is due", len(p.Signers))
	case len(p.Certificates) == 0:
		return errors.New("it comes without its signer's certificate")
	case len(p.Signers[0].AuthenticatedAttributes) == 0:
		return errors.New("its signature is over no attributes")
	}
	if err := p.UnmarshalSignedAttribute(pkcs7.OIDAttributeContentType, &content); err != nil || !content.Equal(oidTSTInfo) {
		return errors.New("what it signs is no TSTInfo")
	}
	return nil
}

// trusted checks that a token's signer is certified for timestamps, by one of the roots,
// at the time that the token gives. It wraps [proof.ErrUnproven].
func trusted(t *timestamp.Timestamp, token []byte, roots *x509.CertPool) error {
	if roots == nil {
		return fmt.Errorf("%w: no roots were given (--tsa-roots)", proof.ErrUnproven)
	}
	p, err := parseCMS(token)
	if err != nil {
		return err
	}
	intermediates := x509.NewCertPool()
	for _, c := range p.Certificates {
		intermediates.AddCert(c)
	}
	signer := p.GetOnlySigner()
	if signer == nil {
		return errors.New("its signer's certificate is not in it")
	}
	if len(signer.ExtKeyUsage) != 1 || signer.ExtKeyUsage[0] != x509.ExtKeyUsageTimeStamping { // RFC 3161, 2.3
		return fmt.Errorf("%w: its signer's certificate is not for timestamps alone", proof.ErrUnproven)
	}
	_, err = signer.Verify(x509.VerifyOptions{
		Roots: roots, Intermediates: intermediates, CurrentTime: t.Time,
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageTimeStamping},
	})
	if err != nil {
		return fmt.Errorf("%w: %v", proof.ErrUnproven, err)
	}
	return nil
}

// Roots reads certificates (PEM) of authorities that are trusted about time.
func Roots(path string) (*x509.CertPool, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("the timestamp authorities' roots can't be read: %w", err)
	}
	pool, n := x509.NewCertPool(), 0
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if block.Type != "CERTIFICATE" || err != nil {
			return nil, fmt.Errorf("%s: block %d is no certificate (PEM, CERTIFICATE)", path, n+1)
		}
		pool.AddCert(c)
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("%s holds no certificate (PEM, CERTIFICATE)", path)
	}
	return pool, nil
}
