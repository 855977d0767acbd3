package door

// MaxReceiptsOfOne is for tests that fill a workspace's places.
const MaxReceiptsOfOne = maxReceiptsOfOne
