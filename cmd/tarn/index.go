package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
)

var metrics = map[string]tarnv1.Metric{
	"cosine": tarnv1.Metric_METRIC_COSINE, "euclidean": tarnv1.Metric_METRIC_EUCLIDEAN, "dot": tarnv1.Metric_METRIC_DOT,
}

func metricName(m tarnv1.Metric) string {
	return strings.ToLower(strings.TrimPrefix(m.String(), "METRIC_"))
}

func indexCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{Use: "index", Short: "Manage vector indexes"}
	cmd.AddCommand(indexCreateCommand(c), indexListCommand(c), indexDescribeCommand(c), indexRemoveCommand(c), indexRecallCommand(c), indexTextsCommand(c))
	return cmd
}

// indexPlace splits BUCKET/INDEX.
func indexPlace(arg string) (bucket, name string, err error) {
	bucket, name = place(arg)
	if bucket == "" || name == "" || strings.Contains(name, "/") {
		return "", "", &usageError{fmt.Sprintf("%q is not BUCKET/INDEX", arg)}
	}
	return bucket, name, nil
}

func indexCreateCommand(c *client) *cobra.Command {
	var dimension uint32
	var recall float64
	var metric, embedder, model, revision string
	var nonFilterable, texts []string
	var language string
	cmd := &cobra.Command{
		Use: "create BUCKET/INDEX --dimension N", Short: "Make a vector index", Args: exactly(1),
		Example: "  tarn index create docs/notes --dimension 384\n  tarn index create docs/notes --dimension 384 --embedder http://127.0.0.1:8080/v1 --model all-MiniLM-L6-v2",
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			m, ok := metrics[metric]
			if !ok {
				return &usageError{fmt.Sprintf("--metric: %q is not cosine, euclidean or dot", metric)}
			}
			req := &tarnv1.CreateIndexRequest{Bucket: bucket, Name: name, Dimension: dimension, Metric: m, NonFilterableMetadataKeys: nonFilterable, TextKeys: texts, TextLanguage: language, RecallTarget: recall}
			if embedder != "" {
				if model == "" {
					return &usageError{"--embedder needs --model"}
				}
				req.Embedder = &tarnv1.Embedder{Kind: "openai", Url: embedder, Model: model, Revision: revision}
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			res, err := v.CreateIndex(cmd.Context(), req)
			if err != nil {
				return err
			}
			return printIndexes(cmd, c, res.Index)
		},
	}
	f := cmd.Flags()
	f.Uint32Var(&dimension, "dimension", 0, "numbers in a vector, 1 to 4096")
	f.StringVar(&metric, "metric", "cosine", "cosine, euclidean or dot")
	f.StringSliceVar(&nonFilterable, "non-filterable", nil, "metadata keys that are only returned, to 10")
	f.StringSliceVar(&texts, "texts", nil, "metadata keys that are searched by words, to 10")
	f.StringVar(&language, "language", "", "of these texts, such as en: words are found by their stems")
	f.Float64Var(&recall, "recall", 0, "share of the ten nearest that a query is to find, 0.5 to 0.999 (default 0.95)")
	f.StringVar(&embedder, "embedder", "", "base URL of an OpenAI-compatible server, such as http://127.0.0.1:8080/v1")
	f.StringVar(&model, "model", "", "the embedder's model")
	f.StringVar(&revision, "revision", "", "the model's revision, to be recorded")
	_ = cmd.MarkFlagRequired("dimension")
	return cmd
}

func indexTextsCommand(c *client) *cobra.Command {
	var add, remove []string
	var language string
	cmd := &cobra.Command{
		Use: "texts BUCKET/INDEX [--add KEY] [--remove KEY]", Short: "Choose which metadata keys are searched by words", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			var index *tarnv1.Index
			if len(add)+len(remove) > 0 {
				res, err := v.ChangeTexts(cmd.Context(), &tarnv1.ChangeTextsRequest{Bucket: bucket, Index: name, Add: add, Remove: remove, Language: language})
				if err != nil {
					return err
				}
				index = res.Index
			} else {
				res, err := v.DescribeIndex(cmd.Context(), &tarnv1.DescribeIndexRequest{Bucket: bucket, Name: name})
				if err != nil {
					return err
				}
				index = res.Index
			}
			t := &table{columns: []string{"Index", "Texts"}}
			t.add(args[0], strings.Join(index.TextKeys, ","))
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().StringSliceVar(&add, "add", nil, "metadata keys to be searched by words")
	cmd.Flags().StringVar(&language, "language", "", "of the keys that are added, such as en: words are found by their stems")
	cmd.Flags().StringSliceVar(&remove, "remove", nil, "keys that are not to be any more")
	return cmd
}

func printIndexes(cmd *cobra.Command, c *client, indexes ...*tarnv1.Index) error {
	t := &table{columns: []string{"Index", "Dimension", "Metric", "Vectors", "Neighbourhoods", "Tail", "Probes", "Recall", "Target", "Embedder"}}
	for _, i := range indexes {
		t.add(i.Bucket+"/"+i.Name, i.Dimension, metricName(i.Metric), i.Vectors, i.Neighbourhoods, i.TailVectors, i.Probes, i.Recall, i.RecallTarget, i.Embedder.GetModel())
	}
	return t.print(cmd.OutOrStdout(), c.output)
}

func indexListCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "ls BUCKET", Short: "List a bucket's vector indexes", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, prefix := place(args[0])
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			var all []*tarnv1.Index
			for token := ""; ; {
				page, err := v.ListIndexes(cmd.Context(), &tarnv1.ListIndexesRequest{Bucket: bucket, Prefix: prefix, PageSize: 1000, PageToken: token})
				if err != nil {
					return err
				}
				all = append(all, page.Indexes...)
				if token = page.NextPageToken; token == "" {
					return printIndexes(cmd, c, all...)
				}
			}
		},
	}
}

func indexDescribeCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "describe BUCKET/INDEX", Short: "Describe a vector index", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			res, err := v.DescribeIndex(cmd.Context(), &tarnv1.DescribeIndexRequest{Bucket: bucket, Name: name})
			if err != nil {
				return err
			}
			if c.output != "table" {
				return printMessage(cmd.OutOrStdout(), c.output, res.Index)
			}
			return printIndexes(cmd, c, res.Index)
		},
	}
}

func indexRemoveCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "rm BUCKET/INDEX", Short: "Remove a vector index with all its vectors", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			_, err = v.DeleteIndex(cmd.Context(), &tarnv1.DeleteIndexRequest{Bucket: bucket, Name: name})
			return err
		},
	}
}

func indexRecallCommand(c *client) *cobra.Command {
	var k, samples uint32
	var floor, target float64
	cmd := &cobra.Command{
		Use: "recall BUCKET/INDEX", Short: "Measure recall against exact answers, or choose a target", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			bucket, name, err := indexPlace(args[0])
			if err != nil {
				return err
			}
			v, err := c.vectors(cmd.Context())
			if err != nil {
				return err
			}
			if cmd.Flags().Changed("target") {
				res, err := v.ChangeRecall(cmd.Context(), &tarnv1.ChangeRecallRequest{Bucket: bucket, Index: name, RecallTarget: target})
				if err != nil {
					return err
				}
				return printIndexes(cmd, c, res.Index)
			}
			res, err := v.MeasureRecall(cmd.Context(), &tarnv1.MeasureRecallRequest{Bucket: bucket, Name: name, K: k, Samples: samples})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Index", "K", "Recall", "Samples", "Probes", "Compared"}}
			t.add(args[0], k, res.Recall, res.Samples, res.Probes, res.ExactScanned)
			if err := t.print(cmd.OutOrStdout(), c.output); err != nil {
				return err
			}
			if res.Recall < floor {
				return errors.New("recall lies below the floor")
			}
			return nil
		},
	}
	cmd.Flags().Uint32Var(&k, "k", 10, "neighbours a query")
	cmd.Flags().Uint32Var(&samples, "samples", 100, "queries, to 1000")
	cmd.Flags().Float64Var(&floor, "floor", 0, "fail when recall lies below this")
	cmd.Flags().Float64Var(&target, "target", 0, "measure nothing, but choose the share of the ten nearest that queries are to find, 0.5 to 0.999")
	return cmd
}
