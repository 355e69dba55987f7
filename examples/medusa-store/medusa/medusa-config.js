const { defineConfig } = require("@medusajs/framework/utils");

// store.mjs sets these variables; nothing else needs to.
module.exports = defineConfig({
  admin: { disable: true },
  projectConfig: {
    databaseUrl: process.env.DATABASE_URL,
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
