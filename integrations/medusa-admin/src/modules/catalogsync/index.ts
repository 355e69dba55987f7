import { Module } from "@medusajs/framework/utils"
import CatalogSyncClient from "./service"

export const CATALOGSYNC = "catalogsync"

export default Module(CATALOGSYNC, { service: CatalogSyncClient })
