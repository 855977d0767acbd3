package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"annals/cmd/annals/internal/client"
	"annals/cmd/annals/internal/control"
	"annals/cmd/annals/internal/datadir"
	"annals/cmd/annals/internal/keys"
	"annals/ledger/chain"

	"github.com/spf13/cobra"
)

// operatorKeyFlag adds the flag that names private keys which are kept elsewhere.
func operatorKeyFlag(cmd *cobra.Command, files *[]string) {
	cmd.Flags().StringSliceVar(files, "key", nil, "the `FILES` of the operator's private keys, where they aren't in the data folder; all of them sign")
}

// signersOf are the keys of a role: those in files sign together; without any, of
// those in the data folder the one that the ledger takes, for it knows which is in
// force.
func signersOf(data string, files []string, role chain.Role) (signers [][]chain.Signer, err error) {
	if len(files) > 0 {
		together, err := keysIn(files, role)
		return [][]chain.Signer{together}, err
	}
	dir := filepath.Join(data, datadir.Keys)
	folder, err := keys.Load(dir)
	if err != nil {
		return nil, err
	}
	for _, p := range folder.List() {
		if s, ok := p.Signer(); ok && p.Role == role {
			signers = append(signers, []chain.Signer{s})
		}
	}
	if len(signers) == 0 {
		elsewhere := ""
		if role == chain.RoleEraser {
			elsewhere = ", or have it signed where the key is: --propose FILE"
		}
		return nil, fmt.Errorf("%s holds no %s's key; name its file with --key%s", dir, role, elsewhere)
	}
	return signers, nil
}

// keysIn reads private keys of a role.
func keysIn(files []string, role chain.Role) (signers []chain.Signer, err error) {
	for _, file := range files {
		p, err := keys.Open(file, role)
		if err != nil {
			return nil, err
		}
		s, _ := p.Signer()
		signers = append(signers, s)
	}
	return signers, nil
}

// submitSigned submits what seal makes of each of the signers in turn, until another
// of them would not do better.
func submitSigned(ctx context.Context, c *client.Client, signers [][]chain.Signer, seal func(together []chain.Signer) []byte) (answer control.Answer, err error) {
	for _, together := range signers {
		answer, err = control.Submit(ctx, c, seal(together))
		var p *client.Problem
		if !errors.As(err, &p) || p.Code != "control_refused" {
			break
		}
	}
	return answer, err
}

// raced reports whether another control message came first, so that the statement
// has to be signed anew.
func raced(err error) bool {
	var p *client.Problem
	return errors.As(err, &p) && p.Code == "control_raced"
}
