package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/access"
	"github.com/tarnlake/tarn/access/admission"
	"github.com/tarnlake/tarn/host"
	"github.com/tarnlake/tarn/objects"
	"github.com/tarnlake/tarn/objects/audit"
	"github.com/tarnlake/tarn/vectors"
)

func serveCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "serve", Short: "Serve the store over its drives, all protocols on one port", Args: cobra.NoArgs,
		Long: "Serve the store over its drives, all protocols on one port.\n\nEvery flag is also an environment variable (--data-shards: TARN_DATA_SHARDS) and a\nsetting of the YAML file (data-shards: 4), in that order of precedence.\n\nWithout --drives the store lives in folders under --data, made at the first start. Real disks\nare made a store with `tarn drive format` first, and then named with --drives. The root key\nis printed once and kept in DATA/credentials; the master key, which seals all secrets, in\nDATA/master.key: keep a copy of it away from the drives.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := loadSettings(cmd.Flags())
			if err != nil {
				return err
			}
			return serve(cmd.Context(), cmd.OutOrStdout(), s)
		},
	}
	serveFlags(cmd.Flags())
	return cmd
}

// lake is a running store with all that stands on it.
type lake struct {
	host    *host.Host
	store   *objects.Store
	vectors *vectors.Engine
	keys    *access.Keyring
	gate    *admission.Gate
	metrics *meters
	out     io.Writer // where the operator reads
}

// serve runs until ctx ends or the listener fails.
func serve(ctx context.Context, out io.Writer, s settings) error {
	master, err := readMasterKey(s)
	if err != nil {
		return err
	}
	h := host.Real(newLog(os.Stderr, s.LogLevel))
	l, err := openLake(ctx, h, out, s, master)
	if err != nil {
		return err
	}
	defer l.close()
	listener, err := listen(s)
	if err != nil {
		return err
	}
	if err := l.introduce(ctx, s); err != nil {
		return err
	}
	return l.answer(ctx, s, listener)
}

func openLake(ctx context.Context, h *host.Host, out io.Writer, s settings, master masterKey) (*lake, error) {
	l := &lake{host: h, gate: admission.New(admission.Options{Clock: h.Clock, Wait: s.AdmissionWait}), metrics: newMeters(), out: out}
	l.metrics.registry.MustRegister(gateMeters{l.gate})
	folders, own := s.folders()
	spareCollector()
	spreadProcessors(len(folders))
	for i, f := range folders {
		full, err := filepath.Abs(f)
		if err != nil {
			return nil, &settingError{"drives", err.Error()}
		}
		folders[i] = full
	}
	_, labels, err := splitLabels(s.Drives)
	if err != nil {
		return nil, &settingError{"drives", err.Error()}
	}
	l.store, err = objects.Open(ctx, objects.Options{
		Host: h, Drives: folders, Labels: labels, DataShards: s.DataShards, ParityShards: s.ParityShards, AutoFormat: own,
		ExtentBytes: int64(s.ExtentMiB) << 20, DriveTimeout: s.DriveTimeout, Events: l.storeEvents(), Admit: l.admitUpkeep,
	})
	if err != nil {
		if !own && errors.Is(err, objects.ErrNoStore) {
			return nil, fmt.Errorf("open the store: %w (a new one is made by `tarn drive format PATH…`; if there should be one, are the disks mounted?)", err)
		}
		return nil, fmt.Errorf("open the store: %w", err)
	}
	l.metrics.registry.MustRegister(driveMeters{l.store, h.Clock}, safety{l.store})
	l.metrics.tidy(l.store.Tidiness)
	if err := l.openUpper(ctx, s, master); err != nil {
		l.close()
		return nil, err
	}
	return l, nil
}

// openUpper opens what stands on the object layer.
func (l *lake) openUpper(ctx context.Context, s settings, master masterKey) error {
	var err error
	if l.keys, err = access.Open(ctx, l.host, l.store.Index(), master.key); err != nil {
		return master.refused(err)
	}
	if master.made {
		if err := master.keep(); err != nil {
			return err
		}
		fmt.Fprintf(l.out, "master key   made in %s: back it up, away from the drives; without it no secret can be read\n", master.place)
	}
	ranking, _ := vectors.ParseRanking(s.VectorRanking) // it was checked
	l.vectors, err = vectors.Open(ctx, vectors.Options{Store: vectors.Over(l.store), Rows: rowFiles(l.store), CacheBytes: int64(s.VectorMemoryMiB) << 20, Ranking: ranking})
	if err != nil {
		return fmt.Errorf("open the vector engine: %w", err)
	}
	l.metrics.registry.MustRegister(indexMeters{l.vectors})
	return nil
}

// admitUpkeep lets a piece of repair, audit or packing begin when the gate has room for
// one: it shares the limit with users, and never fills more than half of it.
func (l *lake) admitUpkeep(ctx context.Context) (func(), error) {
	for {
		permit, err := l.gate.Admit(ctx, admission.Ask{Class: admission.Repair, Tenant: "upkeep"})
		var busy *admission.OverloadError
		if !errors.As(err, &busy) {
			return permit.Done, err
		}
		if err := l.host.Clock.Sleep(ctx, busy.RetryAfter); err != nil {
			return nil, err
		}
	}
}

func (l *lake) storeEvents() objects.Events {
	log := l.host.Log
	return objects.Events{
		DriveDown: func(drive uint16, cause error) {
			l.metrics.driveDown.Inc()
			log.Warn("drive down", "drive", drive, "cause", cause)
		},
		Committed: l.metrics.committed,
		Zeroed:    l.metrics.zeroed,
		DriveBack: func(drive uint16) { log.Info("drive back", "drive", drive) },
		ShardBad: func(stripe [16]byte, shard int, drive uint16, cause error) {
			l.metrics.shardBad.Inc()
			log.Warn("bad shard", "stripe", fmt.Sprintf("%x", stripe), "shard", shard, "drive", drive, "cause", cause)
		},
		Checkpoint: func(through uint64, err error) {
			if err != nil {
				log.Error("checkpoint", "through", through, "error", err)
				return
			}
			log.Info("checkpoint", "through", through)
		},
		Audited: func(drive uint16, f audit.Found, err error) {
			log.Info("audit", "drive", drive, "bytes", f.Bytes, "shards", f.Shards, "bad", f.Bad, "orphans", f.Orphans, "rot", f.Rot, "error", err)
		},
		Repaired: func(r objects.RepairReport, err error) {
			if err == nil && r.Damaged == 0 {
				return
			}
			log.Info("repair", "scanned", r.Scanned, "damaged", r.Damaged, "healed", r.Healed, "unrepairable", r.Unrepairable, "bytes", r.BytesWritten, "error", err)
		},
		Moved: func(kind string, r objects.RepairReport, err error) {
			log.Info(kind, "stripes", r.Healed, "bytes", r.BytesWritten, "unplaced", r.Damaged-r.Healed, "error", err)
		},
		ViewRebuilt: func(dir string, applied uint64) {
			if applied > 0 {
				log.Info("index view rebuilt", "folder", dir, "applied", applied)
			}
		},
	}
}

func (l *lake) close() {
	if l.vectors != nil {
		if err := l.vectors.Close(); err != nil {
			l.host.Log.Error("close the vector engine", "error", err)
		}
	}
	if err := l.store.Close(); err != nil {
		l.host.Log.Error("close the store", "error", err)
	}
}

func listen(s settings) (net.Listener, error) {
	listener, err := net.Listen("tcp", s.Listen)
	if err != nil {
		return nil, &settingError{"listen", err.Error()}
	}
	if s.TLSCert == "" {
		return listener, nil
	}
	pair, err := openCertificate(s.TLSCert, s.TLSKey)
	if err != nil {
		_ = listener.Close()
		return nil, err
	}
	return tls.NewListener(listener, &tls.Config{GetCertificate: pair.get, MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}}), nil
}

// introduce makes and prints the root keys, and says what the operator should know.
func (l *lake) introduce(ctx context.Context, s settings) error {
	root, made, err := rootKey(ctx, s, l.keys)
	if err != nil {
		return fmt.Errorf("keep the root key: %w", err)
	}
	fmt.Fprintf(l.out, "tarn %s\n", version)
	if made {
		fmt.Fprintf(l.out, "access key   %s\nsecret key   %s\n             kept in %s\n", root.AccessKey, root.Secret, credentialsFile(s.Data))
	} else {
		fmt.Fprintf(l.out, "access key   %s\n", root.AccessKey)
	}
	for _, warning := range l.store.Health().Warnings {
		fmt.Fprintln(l.out, "warning      "+warning)
	}
	return nil
}

// answer serves requests until ctx ends, then lets those under way finish for a while.
func (l *lake) answer(ctx context.Context, s settings, listener net.Listener) error {
	scheme := "http"
	if s.TLSCert != "" {
		scheme = "https"
	}
	at := scheme + "://" + listener.Addr().String()
	handler, err := l.handler(s)
	if err != nil {
		return err
	}
	server := newServer(handler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	fmt.Fprintf(l.out, "ready        %s (S3, S3 Vectors, Connect, gRPC), console %s/_/console/\n", at, at)
	select {
	case err := <-failed:
		return fmt.Errorf("serve %s: %w", at, err)
	case <-ctx.Done():
	}
	fmt.Fprintln(l.out, "stopping")
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.ShutdownGrace)
	defer cancel()
	if err := server.Shutdown(grace); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving: %w", err)
	}
	_ = server.Close() // whoever is still there was not answered
	return nil
}

func newServer(handler http.Handler) *http.Server {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler: handler, Protocols: protocols,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
	}
}
