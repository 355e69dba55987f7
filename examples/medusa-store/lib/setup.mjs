// What a new store needs before products can be sold in it, made over the Admin API.

/** Fills a new store; returns its keys and ids. */
export async function setUp(url, { email, password }) {
  const { token } = await call(`${url}/auth/user/emailpass`, { email, password });
  const get = (path) => call(`${url}/admin${path}`, undefined, token);
  const post = (path, body) => call(`${url}/admin${path}`, body, token);

  const store = (await get("/stores")).stores[0];
  const profile = (await get("/shipping-profiles")).shipping_profiles[0];
  const first = (await get("/sales-channels")).sales_channels[0];
  const second = (await post("/sales-channels", { name: "Second Sales Channel" })).sales_channel;
  const channels = [first.id, second.id];

  await post(`/stores/${store.id}`, { supported_currencies: [{ currency_code: "usd", is_default: true }] });
  const { region } = await post("/regions", { name: "United States", currency_code: "usd", countries: ["us"] });
  const { stock_location: location } = await post("/stock-locations", { name: "Warehouse" });
  await post(`/stock-locations/${location.id}/sales-channels`, { add: channels });
  await post(`/stores/${store.id}`, {
    default_sales_channel_id: first.id, default_region_id: region.id, default_location_id: location.id,
  });

  // Medusa's admin places a widget below the list, whatever its zone says, until somebody arranges the page.
  const order = { "widget:catalogsync:status": { order: 0 }, "core:ProductListTable": { order: 1 } };
  await post("/layouts/product.list/configuration", { is_default: true, configuration: { widgets: order } });

  const { api_key: secret } = await post("/api-keys", { title: "catalogsync", type: "secret" });
  const [publishable, other] = [
    await publishableKey(post, "Storefront", first.id), await publishableKey(post, "Second storefront", second.id),
  ];
  return {
    api_key: secret.token, publishable_key: publishable, other_publishable_key: other,
    sales_channel_id: first.id, other_sales_channel_id: second.id, stock_location_id: location.id,
    region_id: region.id, shipping_profile_id: profile.id,
  };
}

async function publishableKey(post, title, channel) {
  const { api_key: key } = await post("/api-keys", { title, type: "publishable" });
  await post(`/api-keys/${key.id}/sales-channels`, { add: [channel] });
  return key.token;
}

async function call(url, body, token) {
  const headers = { "content-type": "application/json", ...(token && { authorization: `Bearer ${token}` }) };
  const answer = await fetch(url, { method: body ? "POST" : "GET", headers, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  return answer.json();
}
