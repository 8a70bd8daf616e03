package index

import "github.com/tarnlake/tarn/host"

// viewFS is the file system as Pebble sees it. Pebble panics where a folder's
// sync fails; this fails the view instead, and ends Pebble's goroutine.
type viewFS struct {
	host.FS
	stop func(error) // does not return
}

func (f viewFS) OpenDir(name string) (host.File, error) {
	d, err := f.FS.OpenDir(name)
	if err != nil {
		return nil, err
	}
	return viewDir{d, f.stop}, nil
}

type viewDir struct {
	host.File
	stop func(error)
}

func (d viewDir) Sync() error {
	if err := d.File.Sync(); err != nil {
		d.stop(err)
	}
	return nil
}
