package drive

import (
	"errors"
	"fmt"
	"os"
	"slices"
)

// ownNames are what a drive has in its folder.
var ownNames = []string{headerName, rootName, lockName, extentsName, headerName + newSuffix, rootName + newSuffix}

// Strays are the files and folders in the drive's folder and among its extents that are not
// the drive's, sorted. They harm nothing and are never touched; somebody may miss them, or
// count on room that they take.
func (d *Drive) Strays() ([]string, error) {
	names, err := d.fs.List(d.dir)
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", d.dir, err)
	}
	strays := slices.DeleteFunc(names, func(name string) bool { return slices.Contains(ownNames, name) })
	extents, err := d.fs.List(d.extentsDir())
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("list %s: %w", d.extentsDir(), err)
	}
	for _, name := range extents {
		if _, ok := extentNumber(name); !ok {
			strays = append(strays, d.fs.PathJoin(extentsName, name))
		}
	}
	slices.Sort(strays)
	return strays, nil
}
