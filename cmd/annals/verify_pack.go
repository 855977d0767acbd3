package main

import (
	"context"
	"fmt"
	"os"

	"annals/ledger/proof"
	"annals/ledger/proof/pack"
)

// verifyPack verifies an evidence pack.
func (a *app) verifyPack(ctx context.Context, v *verifying) error {
	r, err := v.ofPack(ctx)
	return a.sayTenant(ctx, v, r, nil, err)
}

func (v *verifying) ofPack(ctx context.Context) (proof.TenantReport, error) {
	none := proof.TenantReport{}
	f, err := os.Open(v.pack)
	if err != nil {
		return none, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return none, err
	}
	if info.IsDir() {
		return none, fmt.Errorf("%s is a folder: an unpacked pack is checked by its verify.py; give the zip archive", v.pack)
	}
	p, err := pack.Open(f, info.Size())
	if err != nil {
		return none, fmt.Errorf("%s is no evidence pack: %w", v.pack, err)
	}
	t, err := p.Tenant(v.key)
	if err != nil {
		return none, err
	}
	judged, err := v.judged(t.Checkpoint)
	if err != nil {
		return none, err
	}
	t.Before = append(t.Before, judged...)
	return t.Verify(ctx)
}
