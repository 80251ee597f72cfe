/* SPDX-License-Identifier: Apache-2.0 */
/* Inside the room: how a chain takes buffers and contexts out of a coder. */
#ifndef AZRI_CODEC_CODER_H
#define AZRI_CODEC_CODER_H

#include "codec/chain.h"

#include <azr/sys/codec.h>

azr_codec_scratch azri_coder_scratch(azri_coder *c, size_t slot);

/* Emptied growable output for stage `index`; neighbours never get the same. */
azr_codec_out *azri_coder_between(azri_coder *c, size_t index, size_t limit);
/* Output that is the caller's `data` and never grows. */
azr_codec_out *azri_coder_borrow(azri_coder *c, uint8_t *data, size_t nbytes);

#endif
