package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/minio/minio-go/v7"
	"github.com/spf13/cobra"

	"github.com/tarnlake/tarn/objects"
)

func mbCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "mb BUCKET", Short: "Make a bucket", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			bucket, key := place(args[0])
			if key != "" {
				return &usageError{"mb takes a bucket, not a key: " + args[0]}
			}
			if err := objects.CheckBucketName(bucket); err != nil {
				return &usageError{err.Error()}
			}
			return s3.MakeBucket(cmd.Context(), bucket, minio.MakeBucketOptions{})
		},
	}
}

func rbCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "rb BUCKET", Short: "Remove an empty bucket", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			bucket, key := place(args[0])
			if key != "" {
				return &usageError{"rb takes a bucket, not a key: " + args[0]}
			}
			return s3.RemoveBucket(cmd.Context(), bucket)
		},
	}
}

func lsCommand(c *client) *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use: "ls [BUCKET[/PREFIX]]", Short: "List buckets, or objects", Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			if len(args) == 0 {
				return listBuckets(cmd, c, s3)
			}
			bucket, prefix := place(args[0])
			t := &table{columns: []string{"Modified", "Size", "Key"}}
			for o := range s3.ListObjectsIter(cmd.Context(), bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: recursive}) {
				if o.Err != nil {
					return o.Err
				}
				if strings.HasSuffix(o.Key, "/") && o.ETag == "" {
					t.add(nil, nil, o.Key)
					continue
				}
				t.add(o.LastModified, byteCount(o.Size), o.Key)
			}
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "all keys under the prefix")
	return cmd
}

func listBuckets(cmd *cobra.Command, c *client, s3 *minio.Client) error {
	buckets, err := s3.ListBuckets(cmd.Context())
	if err != nil {
		return err
	}
	t := &table{columns: []string{"Created", "Bucket"}}
	for _, b := range buckets {
		t.add(b.CreationDate, b.Name)
	}
	return t.print(cmd.OutOrStdout(), c.output)
}

func statCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "stat BUCKET/KEY", Short: "Describe an object", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			bucket, key := place(args[0])
			o, err := s3.StatObject(cmd.Context(), bucket, key, minio.StatObjectOptions{})
			if err != nil {
				return err
			}
			t := &table{columns: []string{"Key", "Size", "Modified", "ETag", "Type", "Metadata"}}
			t.add(o.Key, byteCount(o.Size), o.LastModified, o.ETag, o.ContentType, o.UserMetadata)
			return t.print(cmd.OutOrStdout(), c.output)
		},
	}
}

func catCommand(c *client) *cobra.Command {
	return &cobra.Command{
		Use: "cat BUCKET/KEY", Short: "Write an object's bytes to stdout", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			bucket, key := place(args[0])
			return download(cmd.Context(), s3, bucket, key, cmd.OutOrStdout())
		},
	}
}

func download(ctx context.Context, s3 *minio.Client, bucket, key string, w io.Writer) error {
	o, err := s3.GetObject(ctx, bucket, key, minio.GetObjectOptions{})
	if err != nil {
		return err
	}
	defer o.Close()
	info, err := o.Stat()
	if err != nil {
		return err
	}
	bar := progress(info.Size, key, true)
	defer bar.Close()
	_, err = io.Copy(io.MultiWriter(w, bar), o)
	return err
}

func rmCommand(c *client) *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use: "rm BUCKET/KEY", Short: "Remove an object, or with -r all under a prefix", Args: exactly(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			bucket, key := place(args[0])
			if !recursive {
				if key == "" {
					return &usageError{"rm takes BUCKET/KEY; a bucket is removed with rb"}
				}
				return s3.RemoveObject(cmd.Context(), bucket, key, minio.RemoveObjectOptions{})
			}
			return removeAll(cmd.Context(), s3, bucket, key)
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "remove every key under the prefix")
	return cmd
}

func removeAll(ctx context.Context, s3 *minio.Client, bucket, prefix string) error {
	bar := progress(-1, "removing", false)
	defer bar.Close()
	var failed error
	keys := make(chan minio.ObjectInfo)
	go func() {
		defer close(keys)
		for o := range s3.ListObjectsIter(ctx, bucket, minio.ListObjectsOptions{Prefix: prefix, Recursive: true}) {
			if o.Err != nil {
				failed = o.Err
				return
			}
			_ = bar.Add(1)
			keys <- o
		}
	}()
	for e := range s3.RemoveObjects(ctx, bucket, keys, minio.RemoveObjectsOptions{}) {
		return fmt.Errorf("remove %s: %w", e.ObjectName, e.Err)
	}
	return failed
}

func cpCommand(c *client) *cobra.Command {
	var recursive bool
	cmd := &cobra.Command{
		Use:     "cp FROM TO",
		Short:   "Copy between files and the store; places in the store begin with tarn://",
		Long:    "Copy between files and the store.\n\nPlaces in the store are tarn://BUCKET/KEY (or s3://BUCKET/KEY); a key that ends in / is a\nfolder to copy into. - is standard input or output.",
		Example: "  tarn cp report.pdf tarn://docs/reports/\n  tarn cp -r photos tarn://docs/photos\n  tarn cp tarn://docs/report.pdf -",
		Args:    exactly(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			s3, err := c.s3()
			if err != nil {
				return err
			}
			from, to := args[0], args[1]
			switch {
			case remote(from) && recursive:
				return &usageError{"-r copies a folder into the store; out of the store, copy one key at a time"}
			case remote(from) && remote(to):
				return copyWithin(cmd.Context(), s3, from, to)
			case remote(to):
				return upload(cmd.Context(), s3, from, to, recursive)
			case remote(from):
				return fetch(cmd, s3, from, to)
			}
			return &usageError{"one of FROM and TO must be in the store: tarn://BUCKET/KEY"}
		},
	}
	cmd.Flags().BoolVarP(&recursive, "recursive", "r", false, "copy a folder with all in it into the store")
	return cmd
}

func copyWithin(ctx context.Context, s3 *minio.Client, from, to string) error {
	fromBucket, fromKey := place(from)
	toBucket, toKey := place(to)
	toKey = under(toKey, path.Base(fromKey))
	_, err := s3.CopyObject(ctx, minio.CopyDestOptions{Bucket: toBucket, Object: toKey}, minio.CopySrcOptions{Bucket: fromBucket, Object: fromKey})
	return err
}

// under puts a name below a key that ends like a folder.
func under(key, name string) string {
	if key == "" || strings.HasSuffix(key, "/") {
		return key + name
	}
	return key
}

func upload(ctx context.Context, s3 *minio.Client, from, to string, recursive bool) error {
	bucket, key := place(to)
	if from == "-" {
		_, err := s3.PutObject(ctx, bucket, key, os.Stdin, -1, minio.PutObjectOptions{PartSize: 16 << 20})
		return err
	}
	info, err := os.Stat(from)
	if err != nil {
		return &usageError{err.Error()}
	}
	if !info.IsDir() {
		return uploadFile(ctx, s3, from, bucket, under(key, filepath.Base(from)))
	}
	if !recursive {
		return &usageError{from + " is a folder: copy it with -r"}
	}
	return filepath.WalkDir(from, func(p string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(from, p)
		if err != nil {
			return err
		}
		return uploadFile(ctx, s3, p, bucket, path.Join(key, filepath.ToSlash(rel)))
	})
}

func uploadFile(ctx context.Context, s3 *minio.Client, name, bucket, key string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	bar := progress(info.Size(), name, true)
	defer bar.Close()
	_, err = s3.PutObject(ctx, bucket, key, f, info.Size(), minio.PutObjectOptions{
		Progress: &barReader{bar}, ContentType: mime.TypeByExtension(filepath.Ext(name)),
	})
	if err != nil {
		return fmt.Errorf("copy %s to %s/%s: %w", name, bucket, key, err)
	}
	return nil
}

// barReader advances a bar by what minio reports as read.
type barReader struct{ bar interface{ Add(int) error } }

func (b *barReader) Read(p []byte) (int, error) { return len(p), b.bar.Add(len(p)) }

func fetch(cmd *cobra.Command, s3 *minio.Client, from, to string) error {
	bucket, key := place(from)
	if to == "-" {
		return download(cmd.Context(), s3, bucket, key, cmd.OutOrStdout())
	}
	if info, err := os.Stat(to); err == nil && info.IsDir() {
		to = filepath.Join(to, path.Base(key))
	}
	f, err := os.CreateTemp(filepath.Dir(to), ".tarn-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = download(cmd.Context(), s3, bucket, key, f)
	if e := f.Close(); err == nil {
		err = e
	}
	if err != nil {
		return fmt.Errorf("copy %s to %s: %w", from, to, err)
	}
	return errors.Join(os.Chmod(f.Name(), 0o644), os.Rename(f.Name(), to))
}

// exactly is cobra.ExactArgs with a usage error that shows the command's form.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != n {
			return &usageError{fmt.Sprintf("usage: %s", cmd.UseLine())}
		}
		return nil
	}
}
