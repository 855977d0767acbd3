package disk_test

import (
	"math/rand/v2"
	"testing"

	"annals/internal/disk"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestMarkersComeLast pulls the plug right after a marker was made, on disks that
// keep each unsynced name or not: with Ordered the marker never stands alone, and
// without it it does.
func TestMarkersComeLast(t *testing.T) {
	alone := func(wrap func(vfs.FS) vfs.FS) (n int) {
		for seed := range uint64(64) {
			mem := vfs.NewCrashableMem()
			fs := wrap(mem)
			for _, name := range []string{"MANIFEST-000001", "marker.manifest.000001.MANIFEST-000001"} {
				f, err := fs.Create(name, vfs.WriteCategoryUnspecified)
				if err != nil {
					t.Fatal(err)
				}
				if err := f.Close(); err != nil {
					t.Fatal(err)
				}
			}
			left := mem.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: 50, RNG: rand.New(rand.NewPCG(seed, 1))})
			names, err := left.List("")
			if err != nil {
				t.Fatal(err)
			}
			if len(names) == 1 && names[0] != "MANIFEST-000001" {
				n++
			}
		}
		return n
	}
	if n := alone(func(fs vfs.FS) vfs.FS { return disk.Ordered{FS: fs} }); n != 0 {
		t.Errorf("%d of 64 crashes left a marker alone", n)
	}
	if alone(func(fs vfs.FS) vfs.FS { return fs }) == 0 {
		t.Error("no crash left a marker alone without Ordered either: the test has lost its grip")
	}
}

func TestSyncNamesTheFolder(t *testing.T) {
	if err := disk.Sync(vfs.NewMem(), "nowhere"); err == nil || err.Error() == "" {
		t.Fatal("a folder that isn't there was synced")
	}
}
