package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

func statusCommand(c *client) *cobra.Command {
	var redundancy bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show the store's drives and health", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			s, err := admin.Status(cmd.Context(), &tarnv1.StatusRequest{Redundancy: redundancy})
			if err != nil {
				return err
			}
			if c.output != "table" {
				return printMessage(cmd.OutOrStdout(), c.output, s)
			}
			return printStatus(cmd.OutOrStdout(), s)
		},
	}
	cmd.Flags().BoolVar(&redundancy, "redundancy", false, "count blobs by the losses that each still stands (reads the whole index)")
	return cmd
}

func printStatus(w io.Writer, s *tarnv1.StatusResponse) error {
	state := "reads and writes"
	if !s.Writable {
		state = "READ-ONLY: " + s.Reason
	}
	fmt.Fprintf(w, "tarn %s, store %s, %d+%d, %s, up since %s\n", s.Version, s.StoreId, s.DataShards, s.ParityShards, state,
		s.Started.AsTime().Local().Format(time.DateTime))
	for _, warning := range s.Warnings {
		fmt.Fprintln(w, "warning:", warning)
	}
	printLoad(w, s.Load)
	if r := s.Repair; r.GetRunning() || r.GetUnrepairable() > 0 {
		fmt.Fprintf(w, "repair: %d scanned, %d damaged, %d healed, %d with too few shards left\n", r.Scanned, r.Damaged, r.Healed, r.Unrepairable)
	}
	if m := s.Move; m.GetRunning() {
		fmt.Fprintf(w, "%s: %d stripes, %s moved\n", m.Kind, m.Stripes, byteCount(m.Bytes))
	} else if m.GetError() != "" {
		fmt.Fprintf(w, "%s ended early: %s\n", m.Kind, m.Error)
	}
	fmt.Fprintf(w, "placement: %s; %d drive groups\n", s.Placement, s.Groups)
	if t := s.Tidiness; t != nil {
		fmt.Fprintf(w, "small objects: %d wait to be packed, %d packed; %s sparse, %s moved, %s given back\n",
			t.BacklogBlobs, t.PackedBlobs, byteCount(t.SparseBytes), byteCount(t.MovedBytes), byteCount(t.GivenBackBytes))
	}
	for spare, n := range s.BlobsBySpareShards {
		fmt.Fprintf(w, "redundancy: %d blobs stand the loss of %d more drives\n", n, spare)
	}
	if s.BlobsUnreadable > 0 {
		fmt.Fprintf(w, "redundancy: %d blobs cannot be read until drives come back\n", s.BlobsUnreadable)
	}
	return driveTable(s.Drives...).print(w, "table")
}

func repairCommand(c *client) *cobra.Command {
	var watch bool
	cmd := &cobra.Command{
		Use: "repair", Short: "Rebuild whatever is missing or wrong, and wait for it", Args: cobra.NoArgs,
		Long: "Rebuild whatever is missing or wrong, and wait for it: the stripes with the least redundancy\nfirst. A stripe is healed once its new shards were read back from their drives, and at the end a\nlook at everything says what is left. With --watch nothing is begun: the repair under way, if\nany, is followed to its end.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !watch {
				admin, err := c.admin(cmd.Context())
				if err != nil {
					return err
				}
				if _, err := followRepair(cmd, admin); err != nil {
					return err
				}
			}
			return watchRepair(cmd, c)
		},
	}
	cmd.Flags().BoolVar(&watch, "watch", false, "begin nothing, follow the repair under way")
	return cmd
}

func followRepair(cmd *cobra.Command, admin tarnv1connect.AdminServiceClient) (*tarnv1.RepairProgress, error) {
	stream, err := admin.Repair(cmd.Context(), &tarnv1.RepairRequest{})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	bar := progress(-1, "repairing", false)
	defer bar.Close()
	last := &tarnv1.RepairProgress{}
	for {
		res, err := stream.Receive()
		if errors.Is(err, io.EOF) {
			return last, nil
		}
		if err != nil {
			return nil, err
		}
		last = res.Progress
		if last.Total > 0 {
			bar.ChangeMax64(int64(last.Total))
		}
		_ = bar.Set64(int64(last.Scanned))
	}
}

func keyCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{Use: "key", Short: "Manage access keys and tokens"}
	cmd.AddCommand(keyCreateCommand(c), keyRightsCommand(c), keyListCommand(c), keyRemoveCommand(c), keyTokenCommand(c))
	return cmd
}

// rights are the flags that say what a key may do.
type rights struct {
	all  bool
	file string
}

func (r *rights) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&r.all, "all", false, "everything with data, where no bucket's policy denies it")
	cmd.Flags().StringVar(&r.file, "policy", "", "what the AWS policy in this file allows")
	cmd.MarkFlagsMutuallyExclusive("all", "policy")
}

func (r *rights) policy() (string, error) {
	if r.file == "" {
		return "", nil
	}
	text, err := os.ReadFile(r.file)
	if err != nil {
		return "", fmt.Errorf("read the policy: %w", err)
	}
	return string(text), nil
}

// may says in a word what a key may do.
func may(k *tarnv1.Key) string {
	switch {
	case k.Root:
		return "everything"
	case k.All:
		return "all data"
	case k.Policy != "":
		return "by its policy"
	}
	return "what buckets allow"
}

func keyCreateCommand(c *client) *cobra.Command {
	var r rights
	cmd := &cobra.Command{
		Use: "create NAME", Short: "Make an access key; its secret is shown once", Args: exactly(1),
		Long: "Make an access key; its secret is shown once. It may do what --all or --policy gives it;\nwithout them, nothing but what the policies of buckets allow it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := r.policy()
			if err != nil {
				return err
			}
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			k, err := admin.CreateKey(cmd.Context(), &tarnv1.CreateKeyRequest{Name: args[0], All: r.all, Policy: policy})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Name", "Access key", "Secret key", "May do"}}
			t.add(k.Key.Name, k.Key.AccessKey, k.SecretKey, may(k.Key))
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	r.flags(cmd)
	return cmd
}

func keyRightsCommand(c *client) *cobra.Command {
	var r rights
	cmd := &cobra.Command{
		Use: "rights ACCESSKEY", Short: "Replace what a key may do", Args: exactly(1),
		Long: "Replace what a key may do, from now on: --all, --policy FILE, or without either nothing but\nwhat the policies of buckets allow it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			policy, err := r.policy()
			if err != nil {
				return err
			}
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			k, err := admin.SetKeyRights(cmd.Context(), &tarnv1.SetKeyRightsRequest{AccessKey: args[0], All: r.all, Policy: policy})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s may do: %s\n", k.Key.AccessKey, may(k.Key))
			return nil
		},
	}
	r.flags(cmd)
	return cmd
}

func keyListCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the access keys", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			keys, err := admin.ListKeys(cmd.Context(), &tarnv1.ListKeysRequest{})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Access key", "Name", "Created", "Root", "May do"}}
			for _, k := range keys.Keys {
				t.add(k.AccessKey, k.Name, k.Created.AsTime(), k.Root, may(k))
			}
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
}

func keyRemoveCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "rm ACCESS-KEY", Short: "End an access key and its tokens", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			_, err = admin.DeleteKey(cmd.Context(), &tarnv1.DeleteKeyRequest{AccessKey: args[0]})
			return err
		},
	}
}

func keyTokenCommand(c *client) *cobra.Command {
	var life time.Duration
	cmd := &cobra.Command{
		Use: "token", Short: "Print a bearer token for Connect and gRPC", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			token, err := c.login(cmd.Context(), life)
			if err != nil {
				return err
			}
			if c.output == "table" {
				_, err = fmt.Fprintln(cmd.OutOrStdout(), token.Token)
				return err
			}
			t := &table{columns: []string{"Token", "Expires"}}
			t.add(token.Token, token.Expires.AsTime())
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().DurationVar(&life, "ttl", 12*time.Hour, "how long it is good for, to 168h")
	return cmd
}

// printLoad says what is waiting, and what was refused since the start.
func printLoad(w io.Writer, l *tarnv1.Load) {
	fmt.Fprintf(w, "load: %d at work of at most %d, %d open", l.GetWorking(), l.GetLimit(), l.GetOpen())
	for _, c := range l.GetClasses() {
		if c.Waiting > 0 || c.Refused > 0 {
			fmt.Fprintf(w, "; %s: %d wait, %d were refused of %d", c.Class, c.Waiting, c.Refused, c.Admitted+c.Refused)
		}
	}
	fmt.Fprintln(w)
}
