const { defineConfig } = require("@medusajs/framework/utils");

const hasAdmin = process.env.STORE_ADMIN === "1";

// store.mjs sets these variables; the plugin reads CATALOGSYNC_URL, CATALOGSYNC_TOKEN and CATALOGSYNC_JOB by itself.
module.exports = defineConfig({
  admin: { disable: !hasAdmin },
  plugins: hasAdmin ? ["catalogsync-medusa-admin"] : [],
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
    cookieOptions: hasAdmin ? { secure: false } : undefined, // plain http, but on this machine only
    http: {
      storeCors: "http://localhost:8000",
      adminCors: "http://localhost:9000",
      authCors: "http://localhost:9000",
      jwtSecret: process.env.JWT_SECRET,
      jwtExpiresIn: process.env.JWT_EXPIRES_IN || "1d",
      cookieSecret: process.env.COOKIE_SECRET,
    },
  },
});
