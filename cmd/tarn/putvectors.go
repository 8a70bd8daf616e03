package main

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

// batchVectors is how many vectors go in one call; pushers is how many calls are
// under way at once.
const (
	batchVectors = 500
	pushers      = 4
)

// vectorFile yields batches of vectors from a file, then io.EOF.
type vectorFile interface {
	next(n int) ([]*tarnv1.Vector, error)
	total() int64 // rows, or -1
	Close() error
}

// vectorColumns name what is what in a file with columns.
type vectorColumns struct {
	key, values string
	metadata    []string // none: all other scalar columns
}

func putVectorsCommand(c *client) *cobra.Command {
	var columns vectorColumns
	cmd := &cobra.Command{
		Use:     "put-vectors FILE BUCKET/INDEX",
		Short:   "Push the vectors of a .parquet, .arrow, .jsonl, .npy or .fvecs file",
		Example: "  tarn put-vectors debian.parquet docs/packages --metadata section,priority\n  tarn put-vectors rows.jsonl docs/notes   # {\"key\":…,\"vector\":[…],\"metadata\":{…}} a line",
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[1])
			if err != nil {
				return err
			}
			f, err := openVectorFile(args[0], columns)
			if err != nil {
				return err
			}
			defer f.Close()
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			n, err := push(cmd.Context(), v, bucket, name, f)
			if err != nil {
				return fmt.Errorf("after %d vectors were acknowledged: %w", n, err)
			}
			t := &table{columns: []string{"Index", "Vectors"}}
			t.add(args[1], n)
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	f := cmd.Flags()
	f.StringVar(&columns.key, "key-column", "key", "column of the keys (.npy and .fvecs have row numbers)")
	f.StringVar(&columns.values, "vector-column", "vector", "column of the vectors")
	f.StringSliceVar(&columns.metadata, "metadata", nil, "columns that become metadata (default: all other scalar ones)")
	return cmd
}

func openVectorFile(name string, columns vectorColumns) (vectorFile, error) {
	switch ext := strings.ToLower(filepath.Ext(name)); ext {
	case ".parquet":
		return openParquet(name, columns)
	case ".arrow", ".arrows", ".feather", ".ipc":
		return openArrow(name, columns)
	case ".jsonl", ".ndjson":
		return openJSONL(name)
	case ".npy":
		return openNPY(name)
	case ".fvecs":
		return openFvecs(name)
	default:
		return nil, &usageError{fmt.Sprintf("%s: %q is not .parquet, .arrow, .jsonl, .npy or .fvecs", name, ext)}
	}
}

// push sends a file in batches; it returns how many vectors were acknowledged.
func push(ctx context.Context, v tarnv1connect.VectorServiceClient, bucket, name string, f vectorFile) (int64, error) {
	bar := progress(f.total(), "pushing", false)
	defer bar.Close()
	batches := make(chan []*tarnv1.Vector)
	acknowledged := make(chan int, pushers)
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		defer close(batches)
		return read(ctx, f, batches)
	})
	for range pushers {
		g.Go(func() error {
			for batch := range batches {
				if _, err := v.Put(ctx, &tarnv1.PutRequest{Bucket: bucket, Index: name, Vectors: batch}); err != nil {
					return err
				}
				acknowledged <- len(batch)
			}
			return nil
		})
	}
	counted := make(chan int64)
	go func() {
		var n int64
		for k := range acknowledged {
			n += int64(k)
			_ = bar.Add(k)
		}
		counted <- n
	}()
	err := g.Wait()
	close(acknowledged)
	return <-counted, err
}

func read(ctx context.Context, f vectorFile, batches chan<- []*tarnv1.Vector) error {
	for {
		batch, err := f.next(batchVectors)
		if len(batch) > 0 {
			select {
			case batches <- batch:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}
