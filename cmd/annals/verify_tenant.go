package main

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"annals/cmd/annals/internal/audit"
	"annals/cmd/annals/internal/evidence"
	"annals/ledger/proof"
	query "annals/query/client"
)

// tenantVerdict is a report on one workspace, with what it was compared with.
type tenantVerdict struct {
	proof.TenantReport
	Remembered *comparedHead `json:"remembered"`
	Error      string        `json:"error,omitzero"`
}

// comparedHead is the remembered workspace head that a report speaks of.
type comparedHead struct {
	Size  uint64 `json:"size"`
	Count uint64 `json:"count"`
}

// verifyTenant verifies one workspace as its tenant: by what a server shows of it
// and nothing else.
func (a *app) verifyTenant(ctx context.Context, v *verifying) error {
	var known *audit.RememberedHead
	r, head, err := proof.TenantReport{}, (*proof.WorkspaceHead)(nil), error(nil)
	if v.remember != "" {
		known, err = audit.RecallHead(v.remember, v.workspace)
	}
	if err == nil {
		r, head, err = a.tenant(ctx, v, known)
	}
	if err := a.sayTenant(ctx, v, r, known, err); err != nil || v.remember == "" {
		return err
	}
	kept := audit.RememberedHead{Ledger: r.Ledger, Workspace: v.workspace, Head: string(head.Note)}
	if err := audit.RememberHead(v.remember, kept); err != nil {
		return fmt.Errorf("the workspace is clean, but its head was not remembered: %w", err)
	}
	if v.output == "text" {
		fmt.Fprintf(a.out, "remembered this head in %s: %d entries at tree size %d\n", v.remember, head.Count, head.Size)
	}
	return nil
}

// tenant verifies a workspace, and once more where something was erased meanwhile,
// which its head of before does not cover.
func (a *app) tenant(ctx context.Context, v *verifying, known *audit.RememberedHead) (proof.TenantReport, *proof.WorkspaceHead, error) {
	none := proof.TenantReport{}
	c, err := a.serverAt(v.url)
	if err != nil {
		return none, nil, err
	}
	signed, err := evidence.Fetch(ctx, c.Client, v.workspace)
	for {
		if err != nil {
			return none, nil, err
		}
		r, end, err := a.tenantAt(ctx, c.Client, signed, v, known)
		if err != nil || r.Verdict != proof.PayloadMissing {
			return r, end, err
		}
		now, err := evidence.Fetch(ctx, c.Client, v.workspace)
		if err != nil || len(now.Erasures) == len(signed.Erasures) {
			return r, end, err
		}
		signed = now
	}
}

func (a *app) tenantAt(ctx context.Context, c *query.Client, signed *evidence.Signed, v *verifying, known *audit.RememberedHead) (proof.TenantReport, *proof.WorkspaceHead, error) {
	none := proof.TenantReport{}
	var err error
	t := signed.Tenant(ctx, c, v.workspace, v.key)
	if known != nil {
		t.Remembered = []byte(known.Head)
	}
	if t.Receipts, err = receiptsIn(v.receipts); err != nil {
		return none, nil, err
	}
	if t.Before, err = v.judged(t.Checkpoint); err != nil {
		return none, nil, err
	}
	bar := a.progress(int64(signed.End.Count), "verifying", false)
	defer func() { _ = bar.Finish() }()
	lines := t.Lines
	t.Lines = func(yield func(proof.Line, error) bool) {
		for l, err := range lines {
			_ = bar.Add(1)
			if !yield(l, err) {
				return
			}
		}
	}
	r, err := t.Verify(ctx)
	return r, &signed.End, err
}

// receiptsIn reads the receipts in a folder, and below it; none where no folder is
// named.
func receiptsIn(dir string) (receipts []*proof.Receipt, err error) {
	if dir == "" {
		return nil, nil
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".tlog-proof" {
			return err
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		r, err := proof.ParseReceipt(b)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		receipts = append(receipts, r)
		return nil
	})
	if err == nil && len(receipts) == 0 {
		err = fmt.Errorf("there are no receipts (.tlog-proof) in %s", dir)
	}
	return receipts, err
}

// judged is what the policy finds of a checkpoint.
func (v *verifying) judged(note []byte) ([]proof.Found, error) {
	policy, err := readPolicy(v.policy)
	if policy == nil || err != nil {
		return nil, err
	}
	if found := policy.Judgement(note); found != nil {
		return []proof.Found{*found}, nil
	}
	return nil, nil
}

// sayTenant prints a report on a workspace, and returns what the command ends with.
func (a *app) sayTenant(ctx context.Context, v *verifying, r proof.TenantReport, known *audit.RememberedHead, err error) error {
	if err != nil && v.output == "text" {
		return err // there is nothing to say on standard output
	}
	if err != nil && len(r.Findings) == 0 {
		r.Report = couldNot(err)
		r.Workspace = v.workspace
	}
	said := tenantVerdict{TenantReport: r, Error: text(err)}
	if known != nil {
		if h, err := proof.ParseWorkspaceHead([]byte(known.Head)); err == nil {
			said.Remembered = &comparedHead{h.Size, h.Count}
		}
	}
	if err := a.printReport(&said, &r.Report, v.output); err != nil {
		return err
	}
	return ended(ctx, err, r.Verdict)
}
