package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/structpb"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

func vectorsCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{Use: "vectors", Short: "List, count and remove vectors, by metadata too"}
	cmd.AddCommand(vectorsListCommand(c), vectorsCountCommand(c), vectorsFacetsCommand(c), vectorsRemoveCommand(c))
	return cmd
}

// readFilter reads a filter as JSON, or @FILE with one; "" is none.
func readFilter(arg string) (*structpb.Struct, error) {
	if arg == "" {
		return nil, nil
	}
	raw := []byte(arg)
	if name, ok := strings.CutPrefix(arg, "@"); ok {
		var err error
		if raw, err = os.ReadFile(name); err != nil {
			return nil, &usageError{"--filter: " + err.Error()}
		}
	}
	f := &structpb.Struct{}
	if err := protojson.Unmarshal(raw, f); err != nil {
		return nil, &usageError{"--filter: " + err.Error()}
	}
	return f, nil
}

const filterHelp = "a metadata filter as JSON, as in S3 Vectors, or @FILE with one"

func vectorsListCommand(c *client) *cobra.Command {
	var filter, after string
	var most uint32
	cmd := &cobra.Command{
		Use: "ls BUCKET/INDEX", Short: "List vectors in the order of their keys", Args: exactly(1),
		Example: "  tarn vectors ls docs/notes --filter '{\"section\":\"editors\"}' --max 20",
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			req := &tarnv1.ListRequest{Bucket: bucket, Index: name, PageToken: after, WithMetadata: true}
			if req.Filter, err = readFilter(filter); err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Key", "Metadata"}}
			for left := most; left > 0; {
				req.PageSize = min(left, 1000)
				page, err := v.List(cmd.Context(), req)
				if err != nil {
					return err
				}
				for _, v := range page.Vectors {
					t.add(v.Key, metadataCell{v.Metadata.AsMap()})
				}
				left -= uint32(len(page.Vectors))
				if req.PageToken = page.NextPageToken; req.PageToken == "" {
					break
				}
			}
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", filterHelp)
	cmd.Flags().StringVar(&after, "after", "", "begin behind this key")
	cmd.Flags().Uint32Var(&most, "max", 1000, "vectors at most")
	return cmd
}

func vectorsCountCommand(c *client) *cobra.Command {
	var filter string
	cmd := &cobra.Command{
		Use: "count BUCKET/INDEX", Short: "Count vectors", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			f, err := readFilter(filter)
			if err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			res, err := v.Count(cmd.Context(), &tarnv1.CountRequest{Bucket: bucket, Index: name, Filter: f})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Index", "Vectors"}}
			t.add(args[0], res.Vectors)
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", filterHelp)
	return cmd
}

func vectorsFacetsCommand(c *client) *cobra.Command {
	var filter string
	var most uint32
	cmd := &cobra.Command{
		Use: "facets BUCKET/INDEX FIELD…", Short: "Count the values of metadata fields", Args: cobra.RangeArgs(2, 11),
		Example: "  tarn vectors facets docs/notes section --filter '{\"year\":{\"$gte\":2020}}'",
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			f, err := readFilter(filter)
			if err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			res, err := v.Facets(cmd.Context(), &tarnv1.FacetsRequest{Bucket: bucket, Index: name, Filter: f, Fields: args[1:], Values: most})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Field", "Value", "Vectors"}}
			for _, facet := range res.Facets {
				for _, value := range facet.Values {
					t.add(facet.Field, value.Value.AsInterface(), value.Count)
				}
				if more := int(facet.Distinct) - len(facet.Values); more > 0 {
					fmt.Fprintf(cmd.ErrOrStderr(), "%s has %d more values\n", facet.Field, more)
				}
			}
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", filterHelp)
	cmd.Flags().Uint32Var(&most, "max", 100, "values of each field, the most frequent; to 1000")
	return cmd
}

func vectorsRemoveCommand(c *client) *cobra.Command {
	var filter string
	var most uint64
	var dry bool
	cmd := &cobra.Command{
		Use: "rm BUCKET/INDEX (KEY… | --filter JSON)", Short: "Remove vectors by key or by filter", Args: cobra.MinimumNArgs(1),
		Example: "  tarn vectors rm docs/notes vim emacs\n  tarn vectors rm docs/notes --filter '{\"year\":{\"$lt\":2000}}' --dry-run",
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			f, err := readFilter(filter)
			if err != nil {
				return err
			}
			if (f == nil) == (len(args) == 1) {
				return &usageError{"rm needs keys, or --filter, and not both"}
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			if f == nil {
				_, err := v.Delete(cmd.Context(), &tarnv1.DeleteRequest{Bucket: bucket, Index: name, Keys: args[1:]})
				return err
			}
			res, err := v.DeleteWhere(cmd.Context(), &tarnv1.DeleteWhereRequest{Bucket: bucket, Index: name, Filter: f, Max: most, DryRun: dry})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Index", "Deleted", "Dry", "More"}}
			t.add(args[0], res.Deleted, dry, res.More)
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().StringVar(&filter, "filter", "", filterHelp)
	cmd.Flags().Uint64Var(&most, "max", 0, "remove so many at most (0: all that the filter means)")
	cmd.Flags().BoolVar(&dry, "dry-run", false, "only count")
	return cmd
}
