package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"

	"annals/query/client"
)

func Example() {
	s := serve() // in earnest: annals serve
	defer s.close()
	c, err := client.New(s.http.URL, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	page, err := c.Timeline(context.Background(), "ws_7", client.Query{
		Filter: client.Filter{Where: []client.Condition{
			client.Is(client.User, "usr_dana", "usr_li"), // any of them
			client.Is(client.Type, "app.*"),              // and
			client.Not(client.Outcome, "denied"),         // and not
		}},
		Sentences: true,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(page.Total, "as of", page.AsOf.Size)
	for i := range page.Items {
		fmt.Println(page.Items[i].Type, string(page.Items[i].Record)[:20])
	}
	// Output:
	// 2 as of 6
	// app.renamed {"type":"app.renamed
	// app.created {"type":"app.created
}

// All follows the pages. It shows the ledger as it stood at the first one.
func ExampleClient_All() {
	s := serve()
	defer s.close()
	c, err := client.New(s.http.URL, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	q := client.Query{Oldest: true, Limit: 2}
	q.Where = []client.Condition{client.Is(client.Object, client.Ref("app", "app_42"))}
	for item, err := range c.All(context.Background(), "ws_7", q) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(item.Index, item.Type)
	}
	// Output:
	// 2 app.created
	// 3 app.renamed
	// 4 app.renamed
}

func ExampleClient_Counts() {
	s := serve()
	defer s.close()
	c, err := client.New(s.http.URL, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	byType, err := c.Counts(ctx, "ws_7", client.Counting{By: "type", Top: 1})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range byType.Counts {
		fmt.Println(n.Value, n.N)
	}
	fmt.Println(byType.Distinct, "types;", byType.Other, "of others")

	byDay, err := c.Counts(ctx, "ws_7", client.Counting{By: client.Day, Zone: "Asia/Kathmandu"})
	if err != nil {
		log.Fatal(err)
	}
	for _, n := range byDay.Counts {
		fmt.Println(n.Start, n.N)
	}
	// Output:
	// app.renamed 2
	// 3 types; 2 of others
	// 2026-01-02 00:00:00 +0545 +0545 4
}

// Whoever polls gives what it has: the server answers that it still holds,
// without reading a record.
func ExampleErrNotModified() {
	s := serve()
	defer s.close()
	c, err := client.New(s.http.URL, client.Options{})
	if err != nil {
		log.Fatal(err)
	}
	ctx := context.Background()
	var q client.Query
	q.Where = []client.Condition{client.Is(client.User, "usr_li")}
	page, err := c.Timeline(ctx, "ws_7", q)
	if err != nil {
		log.Fatal(err)
	}
	q.Known = page.ETag
	for _, user := range []string{"usr_dana", "usr_li"} {
		s.publish(`{"type":"app.moved","actor":{"id":"` + user + `"}}`)
		_, err = c.Timeline(ctx, "ws_7", q)
		fmt.Println(user, "moved an app, the page is the same:", errors.Is(err, client.ErrNotModified))
	}
	// Output:
	// usr_dana moved an app, the page is the same: true
	// usr_li moved an app, the page is the same: false
}
