// Serves the POST of a Next.js route with Node.js alone; prints its port.

import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const { POST } = await import(pathToFileURL(process.argv[2]).href);

const server = createServer(async (incoming, outgoing) => {
  const chunks = await collected(incoming);
  const request = new Request("http://127.0.0.1/api/catalog", {
    method: "POST",
    headers: incoming.headers,
    body: Buffer.concat(chunks),
  });
  let response;
  try {
    response = await POST(request);
  } catch {
    response = new Response(null, { status: 500 }); // as Next.js does
  }
  outgoing.writeHead(response.status).end(await response.text());
});

async function collected(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

server.listen(0, "127.0.0.1", () => console.log(server.address().port));
