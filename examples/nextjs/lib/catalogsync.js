// Receives the messages of catalogsync about written products. Plain JavaScript for Node.js.

import { createHmac, timingSafeEqual } from "node:crypto";

const TOLERANCE = 5 * 60; // seconds that a signature is valid
const LARGEST = 1024 * 1024; // bytes

/**
 * Whether a body is signed with a secret, as Standard Webhooks specifies.
 *
 * @param {string} secret `whsec_` and base64
 * @param {Headers} headers the headers of the request
 * @param {string} body the body exactly as received
 * @param {number} now seconds since the epoch
 */
export function isSigned(secret, headers, body, now = Date.now() / 1000) {
  const id = headers.get("webhook-id");
  const timestamp = headers.get("webhook-timestamp");
  const signatures = headers.get("webhook-signature");
  if (!id || !signatures || !/^\d+$/.test(timestamp ?? "")) return false;
  if (Math.abs(now - Number(timestamp)) > TOLERANCE) return false;
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  if (key.length < 24) throw new Error("the secret must be whsec_ and base64");
  const expected = createHmac("sha256", key)
    .update(`${id}.${timestamp}.${body}`)
    .digest();
  return signatures.split(" ").some((signature) => {
    const [version, text = ""] = signature.split(",");
    const given = Buffer.from(text, "base64");
    return (
      version === "v1" &&
      given.length === expected.length &&
      timingSafeEqual(given, expected)
    );
  });
}

/**
 * Answer a message: verify it, and call `refresh` for each product.
 *
 * If `refresh` throws, the answer is 500, and catalogsync sends the message again.
 *
 * @param {Request} request
 * @param {object} options
 * @param {string | undefined} options.secret the receiver's secret
 * @param {(product: {key: string, status: string, handle: string | null,
 *   id: string | null, fields: string[]}) => unknown} options.refresh
 * @returns {Promise<Response>}
 */
export async function receive(request, { secret, refresh }) {
  if (!secret) return new Response("no secret is configured", { status: 500 });
  if (Number(request.headers.get("content-length")) > LARGEST)
    return new Response("too large", { status: 413 });
  const body = await request.text();
  if (!isSigned(secret, request.headers, body))
    return new Response("the signature is not valid", { status: 401 });
  const message = JSON.parse(body);
  if (message.type === "products.written")
    for (const product of message.data.products) await refresh(product);
  return new Response(null, { status: 204 });
}
