const { defineConfig } = require("@medusajs/framework/utils");

const hasAdmin = process.env.STORE_ADMIN === "1";

// Some of Medusa's feature flags need a module, which is installed with Medusa but not loaded by default.
const FLAGGED = {
  INDEX_ENGINE: { resolve: "@medusajs/medusa/index-module" },
  RBAC: { resolve: "@medusajs/medusa/rbac" },
  CACHING: { resolve: "@medusajs/medusa/caching", options: { in_memory: { enable: true } } },
  TRANSLATION: { resolve: "@medusajs/medusa/translation" },
};
const isOn = (flag) => process.env[`MEDUSA_FF_${flag}`] === "true";

// store.mjs sets these variables; the plugin reads CATALOGSYNC_URL, CATALOGSYNC_TOKEN and CATALOGSYNC_JOB by itself.
module.exports = defineConfig({
  admin: { disable: !hasAdmin },
  modules: Object.keys(FLAGGED).filter(isOn).map((flag) => FLAGGED[flag]),
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
