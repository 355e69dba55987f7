// POST /api/catalog: expires the pages of the products that catalogsync has written.

import { revalidatePath, revalidateTag } from "next/cache";

import { receive } from "../../../lib/catalogsync.js";

const NOW = { expire: 0 }; // Next.js 15 and earlier ignore this argument

export function POST(request) {
  return receive(request, {
    secret: process.env.STOREFRONT_SECRET,
    refresh({ handle, status }) {
      // Lists change with each new, removed or unknown product; most updates concern
      // one page only.
      if (!handle || status !== "updated") revalidateTag("products", NOW);
      if (!handle) return;
      revalidateTag(`product-${handle}`, NOW);
      revalidatePath(`/products/${handle}`);
    },
  });
}
