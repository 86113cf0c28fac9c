/* formats.c - the version of each format, side by side. */
#include "daemon/store/formats.h"

#include "daemon/store/backup/manifest.h"
#include "daemon/store/base/segment.h"
#include "daemon/store/catalog/catalog.h"
#include "daemon/store/catalog/current.h"
#include "daemon/store/index/index_file.h"
#include "daemon/store/log/frame.h"
#include "daemon/store/log/redo.h"
#include "daemon/store/spill/spill.h"
#include "daemon/store/visible/visible.h"

const struct store_format store_formats[] = {
	{"catalog", CATALOG_VERSION},
	{"current", CURRENT_VERSION},
	{"log", REDO_VERSION},
	{"frame", FRAME_VERSION},
	{"segment", SEGMENT_VERSION},
	{"spill", SPILL_VERSION},
	{"index", INDEX_VERSION},
	{"manifest", MANIFEST_VERSION},
	{"visible", VISIBLE_VERSION},
};
const size_t store_formats_count = sizeof store_formats / sizeof store_formats[0];
