#ifndef CSIGNALR_ZLIB_H
#define CSIGNALR_ZLIB_H
#include <zlib.h>

/* The initialisers are macros in zlib.h, which Swift does not import. */
static inline int signalr_deflateInit2(z_streamp stream, int level, int windowBits, int memLevel) {
    return deflateInit2(stream, level, Z_DEFLATED, windowBits, memLevel, Z_DEFAULT_STRATEGY);
}
static inline int signalr_inflateInit2(z_streamp stream, int windowBits) {
    return inflateInit2(stream, windowBits);
}
#endif
