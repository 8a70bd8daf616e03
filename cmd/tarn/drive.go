package main

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/objects"
	tarnv1 "github.com/tarnlake/tarn/proto/tarn/v1"
	"github.com/tarnlake/tarn/proto/tarn/v1/tarnv1connect"
)

func driveTable(drives ...*tarnv1.Drive) *table {
	t := &table{columns: []string{"Drive", "State", "Since", "Used", "Free", "Device", "Labels", "Journal", "View", "Path", "Reason"}}
	for _, d := range drives {
		since := ""
		if d.Since != nil {
			since = d.Since.AsTime().Local().Format(time.DateTime)
		}
		labels := objects.Labels{Zone: d.Zone, Rack: d.Rack, Node: d.Node}
		t.add(d.Number, d.State, since, byteCount(d.UsedBytes), byteCount(d.FreeBytes), d.Device, labels.String(), d.Journal, d.View, d.Path, driveNote(d))
	}
	return t
}

// driveNote is why a drive is not well, and how far its drain is.
func driveNote(d *tarnv1.Drive) string {
	switch {
	case d.Drained:
		return "drained: nothing lies on it; `tarn drive remove " + strconv.Itoa(int(d.Number)) + "`"
	case d.Draining:
		return fmt.Sprintf("%s; %d shards, %s are left", d.Reason, d.ShardsLeft, byteCount(d.BytesLeft))
	}
	return d.Reason
}

func driveCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{Use: "drive", Short: "Show and change the store's drives"}
	cmd.AddCommand(driveFormatCommand(), driveListCommand(c), driveAdoptCommand(c), driveAddCommand(c),
		driveDrainCommand(c), driveBalanceCommand(c), driveRemoveCommand(c), driveLabelCommand(c))
	return cmd
}

func driveListCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the drives: their states, since when, and why", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			s, err := admin.Status(cmd.Context(), &tarnv1.StatusRequest{})
			if err != nil {
				return err
			}
			return driveTable(s.Drives...).print(cmd.OutOrStdout(), c.output)
		},
	}
}

func driveAdoptCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "adopt PATH", Short: "Take an empty folder of the server in, in place of a missing drive if there is one", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeDrive(c, cmd, func(ctx context.Context, admin tarnv1connect.AdminServiceClient) (*tarnv1.Drive, error) {
				full, err := filepath.Abs(args[0])
				if err != nil {
					return nil, err
				}
				res, err := admin.AdoptDrive(ctx, &tarnv1.AdoptDriveRequest{Path: full})
				return res.GetDrive(), err
			})
		},
	}
}

func driveAddCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use: "add PATH", Short: "Take an empty folder of the server in as one drive more", Args: exactly(1),
		Long: "Take an empty folder of the server in as one drive more. The store remembers it: it need\nnot be named to `tarn serve`. Stripes are then moved to it until the drives are even.",
	}
	l := labelFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return changeDrive(c, cmd, func(ctx context.Context, admin tarnv1connect.AdminServiceClient) (*tarnv1.Drive, error) {
			full, err := filepath.Abs(args[0])
			if err != nil {
				return nil, err
			}
			res, err := admin.AddDrive(ctx, &tarnv1.AddDriveRequest{Path: full, Zone: l.Zone, Rack: l.Rack, Node: l.Node})
			return res.GetDrive(), err
		})
	}
	return cmd
}

func labelFlags(cmd *cobra.Command) *objects.Labels {
	l := &objects.Labels{}
	cmd.Flags().StringVar(&l.Zone, "zone", "", "zone that the drive is in")
	cmd.Flags().StringVar(&l.Rack, "rack", "", "rack that the drive is in")
	cmd.Flags().StringVar(&l.Node, "node", "", "node that the drive is in")
	return l
}

func driveDrainCommand(c *client) *cobra.Command {
	var cancel, wait bool
	cmd := &cobra.Command{
		Use: "drain NUMBER", Short: "Move all that lies on a drive to others, so that it can be removed", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeDrive(c, cmd, func(ctx context.Context, admin tarnv1connect.AdminServiceClient) (*tarnv1.Drive, error) {
				number, err := driveArgument(args[0])
				if err != nil {
					return nil, err
				}
				res, err := admin.DrainDrive(ctx, &tarnv1.DrainDriveRequest{Number: number, Keep: cancel})
				if err != nil || !wait || cancel {
					return res.GetDrive(), err
				}
				return followDrain(ctx, admin, number)
			})
		},
	}
	cmd.Flags().BoolVar(&cancel, "cancel", false, "end the draining: what is left stays, and the drive is used again")
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until nothing is left on the drive, and show how far it is")
	return cmd
}

func driveBalanceCommand(c *client) *cobra.Command {
	wait := false
	cmd := &cobra.Command{
		Use: "balance", Short: "Move stripes from the fullest drives to the emptiest now", Args: exactly(0),
		Long: "Move stripes from the fullest drives to the emptiest now. The store does so by itself, once an\nhour and after a drive was added, where a drive holds an eighth and 256 MiB more than its share; asked\nfor, it begins at 16 MiB. Drives of one group share all their stripes and cannot be balanced.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			res, err := admin.BalanceDrives(cmd.Context(), &tarnv1.BalanceDrivesRequest{})
			if err != nil {
				return err
			}
			if !res.Begun {
				fmt.Fprintln(cmd.ErrOrStderr(), "the drives are even enough, or all of one group: nothing is moved")
			} else if wait {
				if err := followBalance(cmd.Context(), admin); err != nil {
					return err
				}
			}
			s, err := admin.Status(cmd.Context(), &tarnv1.StatusRequest{})
			if err != nil {
				return err
			}
			return driveTable(s.Drives...).print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().BoolVar(&wait, "wait", false, "wait until it is done, and show how far it is")
	return cmd
}

func followBalance(ctx context.Context, admin tarnv1connect.AdminServiceClient) error {
	bar := progress(-1, "balancing", true)
	defer bar.Close()
	for {
		s, err := admin.Status(ctx, &tarnv1.StatusRequest{})
		if err != nil {
			return err
		}
		_ = bar.Set64(int64(s.Move.GetBytes()))
		if !s.Move.GetRunning() {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(drainLook):
		}
	}
}

// drainLook is the time between two looks at a drain.
const drainLook = 500 * time.Millisecond

func followDrain(ctx context.Context, admin tarnv1connect.AdminServiceClient, number uint32) (*tarnv1.Drive, error) {
	bar := progress(-1, "draining", true)
	defer bar.Close()
	most := uint64(0)
	for {
		s, err := admin.Status(ctx, &tarnv1.StatusRequest{})
		if err != nil {
			return nil, err
		}
		d := driveOf(s, number)
		if d == nil || d.Drained || !d.Draining {
			return d, nil
		}
		if d.BytesLeft > most {
			most = d.BytesLeft
			bar.ChangeMax64(int64(most))
		}
		if s.Move.GetRunning() {
			_ = bar.Set64(int64(min(s.Move.Bytes, most)))
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(drainLook):
		}
	}
}

func driveOf(s *tarnv1.StatusResponse, number uint32) *tarnv1.Drive {
	for _, d := range s.Drives {
		if d.Number == number {
			return d
		}
	}
	return nil
}

func driveRemoveCommand(c *client) *cobra.Command {
	var force bool
	cmd := &cobra.Command{
		Use: "remove NUMBER", Short: "Take a drive on which nothing lies out of the store for good", Args: exactly(1),
		Long: "Take a drive on which nothing lies out of the store for good: one that was drained, or one that\nis missing and whose shards were rebuilt elsewhere. At least k+m drives stay.\n\n--force removes it although shards lie on it, if every stripe keeps k others, of which the other\ndrives are asked. No byte is lost then, but redundancy is, until repair has rebuilt it.",
		RunE: func(cmd *cobra.Command, args []string) error {
			number, err := driveArgument(args[0])
			if err != nil {
				return err
			}
			admin, err := c.admin(cmd.Context())
			if err != nil {
				return err
			}
			_, err = admin.RemoveDrive(cmd.Context(), &tarnv1.RemoveDriveRequest{Number: number, Force: force})
			return err
		},
	}
	cmd.Flags().BoolVar(&force, "force", false, "although shards lie on it, where every stripe keeps enough others")
	return cmd
}

func driveLabelCommand(c *client) *cobra.Command {
	cmd := &cobra.Command{
		Use: "label NUMBER", Short: "Say in which zone, rack and node a drive is; what is not given is unset", Args: exactly(1),
		Example: "  tarn drive label 3 --zone a --rack r1",
	}
	l := labelFlags(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return changeDrive(c, cmd, func(ctx context.Context, admin tarnv1connect.AdminServiceClient) (*tarnv1.Drive, error) {
			number, err := driveArgument(args[0])
			if err != nil {
				return nil, err
			}
			res, err := admin.LabelDrive(ctx, &tarnv1.LabelDriveRequest{Number: number, Zone: l.Zone, Rack: l.Rack, Node: l.Node})
			return res.GetDrive(), err
		})
	}
	return cmd
}

func driveArgument(s string) (uint32, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(s, "drive-"), 10, 16)
	if err != nil || n == 0 {
		return 0, &usageError{fmt.Sprintf("%q is no drive's number; `tarn drive ls` lists them", s)}
	}
	return uint32(n), nil
}

// changeDrive has the server change a drive, and prints what it is then.
func changeDrive(c *client, cmd *cobra.Command, change func(context.Context, tarnv1connect.AdminServiceClient) (*tarnv1.Drive, error)) error {
	admin, err := c.admin(cmd.Context())
	if err != nil {
		return err
	}
	d, err := change(cmd.Context(), admin)
	if err != nil || d == nil {
		return err
	}
	return driveTable(d).print(cmd.OutOrStdout(), c.output)
}
