package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// parts are the measurements of scale and service.
var parts = map[string]func(context.Context, settings) error{
	"cold": cold, "drift": drift, "growth": grow, "inserts": inserts, "many": many, "service": service,
}

func partNames() string { return strings.Join(slices.Sorted(maps.Keys(parts)), ", ") }

func runParts(ctx context.Context, s settings) error {
	for part := range strings.SplitSeq(s.parts, ",") {
		measure, ok := parts[part]
		if !ok {
			return fmt.Errorf("-parts: %q is none of %s", part, partNames())
		}
		if err := measure(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", part, err)
		}
	}
	return nil
}
