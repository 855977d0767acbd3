package proof_test

import (
	"errors"
	"fmt"
	"log"
	"os"

	"annals/ledger/chain"
	"annals/ledger/proof"
)

// vkey is what `annals keys public` printed: how an auditor knows the ledger.
const vkey = "annals.example/receipts+648ce816+AfJi2W0SkiGGwskAYX8z/4nPZxP8T2SKf16RWfBZQYLG"

// A receipt is verified offline, with the ledger's key and nothing else.
func ExampleReceipt_Verify() {
	text, err := os.ReadFile("testdata/record.tlog-proof")
	if err != nil {
		log.Fatal(err)
	}
	keys, err := proof.NewKeyring(vkey)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		log.Fatal(err)
	}
	proven, err := receipt.Verify(keys)
	if err != nil {
		log.Fatal(err)
	}
	leaf := receipt.Leaf()
	_, record := leaf.Record()
	fmt.Printf("%s: %s entry %d, in a tree of %d\n", proven.Grade, receipt.Entry.Kind, receipt.Index, proven.Checkpoint.Size)
	fmt.Printf("%s\n%s\n", receipt.Payload.Subject(), record)
	// Output:
	// recorded: record entry 2, in a tree of 5
	// activity.ws_7.app.renamed
	// {"id":"evt-1","actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_42"}}
}

// The receipt of a rejection proves that the record was refused, and why.
func ExampleReceipt_Verify_rejection() {
	text, err := os.ReadFile("testdata/rejection.tlog-proof")
	if err != nil {
		log.Fatal(err)
	}
	keys, err := proof.NewKeyring(vkey)
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		log.Fatal(err)
	}
	if _, err := receipt.Verify(keys); err != nil {
		log.Fatal(err)
	}
	reason, advice := chain.Reason(receipt.Entry.Code)
	fmt.Printf("%s: %s (%s)\n%s\n", receipt.Entry.Kind, reason, advice, receipt.Payload.Body)
	// Output:
	// rejection: missing_actor_id (say who acted in actor.id, or give actor.type as anonymous or system)
	// {"id":"evt-2","actor":{"type":"user"}}
}

// A receipt is kept without its payload where payloads must not be. Whoever has
// the bytes that were published still shows that it is of them.
func ExampleReceipt_WithPayload() {
	text, err := os.ReadFile("testdata/record.tlog-proof")
	if err != nil {
		log.Fatal(err)
	}
	receipt, err := proof.ParseReceipt(text)
	if err != nil {
		log.Fatal(err)
	}
	kept := receipt.WithoutPayload()

	published := []byte(`{"id":"evt-1","actor":{"type":"user","id":"usr_dana"},"object":{"type":"app","id":"app_42"}}`)
	_, err = kept.WithPayload(chain.Envelope("activity.ws_7.app.renamed", nil), published)
	fmt.Println("of these bytes:", err == nil)
	_, err = kept.WithPayload(chain.Envelope("activity.ws_7.app.renamed", nil), []byte(`{"id":"evt-9"}`))
	fmt.Println("of others:", err == nil, errors.Is(err, proof.ErrCommitment))
	// Output:
	// of these bytes: true
	// of others: false true
}

// Whoever remembers a checkpoint checks that a later one continues it. The hashes
// are those of GET /v1/consistency?from=…&to=….
func ExampleCheckConsistency() {
	one, two := chain.LeafHash([]byte("one")), chain.LeafHash([]byte("two"))
	var root chain.Hash
	if err := root.UnmarshalText([]byte("4f55f619d9215235778b2b9f17d6f4915b16171214d152381293669764de722e")); err != nil {
		log.Fatal(err)
	}
	fmt.Println(proof.CheckConsistency(1, one, 2, root, []chain.Hash{two}))
	fmt.Println(errors.Is(proof.CheckConsistency(1, two, 2, root, []chain.Hash{two}), proof.ErrProof))
	// Output:
	// <nil>
	// true
}
