// Posts a play and prints the next list: the example of the TypeScript client, compiled by `make clients`.
// Run it with: node .clients/typescript/first_list.js API TOKEN USER
import createClient from "openapi-fetch";
import type { paths } from "./schema.js";

const [api = "", token = "", user = ""] = process.argv.slice(2);
const client = createClient<paths>({ baseUrl: api, headers: { Authorization: `Bearer ${token}` } });

const posted = await client.POST("/v1/plays", {
  body: { plays: [{ user, artist: "Air", title: "Run", played_at: Date.now() - 300_000, ms_played: 200_000 }] },
});
if (posted.error) throw new Error(JSON.stringify(posted.error));

const list = await client.GET("/v1/users/{user}/recommendations", {
  params: { path: { user }, query: { limit: 3 } },
});
if (list.error) throw new Error(JSON.stringify(list.error));
console.log(JSON.stringify({ accepted: posted.data.accepted, tracks: list.data.recommendations.length }));
