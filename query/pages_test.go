package query

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	connect "connectrpc.com/connect/v2"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/host/hosttest"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	pagesof "github.com/tarnlake/tarn/vectors/pages"
)

func as(key string) context.Context {
	return context.WithValue(context.Background(), callerKey{}, &caller{access.Identity{AccessKey: key}})
}

func answerOf(hits, keyBytes int) *tarnv1.QueryResponse {
	out := &tarnv1.QueryResponse{}
	for i := range hits {
		out.Hits = append(out.Hits, &tarnv1.Hit{Key: fmt.Sprintf("%0*d", keyBytes, i)})
	}
	return out
}

func TestAnswersAreKeptForTheirPagesAndNoLonger(t *testing.T) {
	h := hosttest.New(5)
	p := newPages(h)
	out := answerOf(10, 4)
	if err := p.first(as("a"), out, 4); err != nil || len(out.Hits) != 4 {
		t.Fatalf("first page of %d hits, %v", len(out.Hits), err)
	}
	token := out.NextPageToken
	if _, _, err := p.next(as("b"), token); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("another key's page: %v", err)
	}
	for range 2 { // a lost answer may be asked for again
		hits, next, err := p.next(as("a"), token)
		if err != nil || len(hits) != 4 || hits[0].Key != "0004" || next == "" {
			t.Fatalf("second page: %v, %q, %v", hits, next, err)
		}
	}
	hosttest.ClockOf(h).Advance(pagesof.Life - time.Second)
	hits, next, err := p.next(as("a"), strings.TrimSuffix(token, "4")+"8")
	if err != nil || len(hits) != 2 || next != "" {
		t.Errorf("last page: %v, %q, %v", hits, next, err)
	}
	hosttest.ClockOf(h).Advance(pagesof.Life + time.Second)
	if _, _, err := p.next(as("a"), token); connect.CodeOf(err) != connect.CodeFailedPrecondition {
		t.Errorf("a page after its time: %v", err)
	}
}

func TestKeptAnswersAreBounded(t *testing.T) {
	p := newPages(hosttest.New(6))
	var tokens []string
	for range 5 {
		out := answerOf(1000, 20_000) // 20 MB
		if err := p.first(as("a"), out, 10); err != nil {
			t.Fatal(err)
		}
		tokens = append(tokens, out.NextPageToken)
	}
	for i, token := range tokens {
		if _, _, err := p.next(as("a"), token); (err == nil) != (i >= 2) {
			t.Errorf("answer %d: %v", i, err)
		}
	}
	if err := p.first(as("a"), answerOf(4000, 20_000), 10); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("an answer of 80 MB: %v", err)
	}
}
